"""Loader of `gym:` environments, with one clear line where one cannot be used."""

import ast
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np
from gymnasium import error, spaces
from gymnasium.envs.registration import load_env_creator
from gymnasium.wrappers import NormalizeObservation, NormalizeReward
from jaxtyping import Float
from numpy import ndarray

from tasks.errors import TaskError
from tasks.gymnasium_env.checked import CheckedEnv, said


@dataclass(frozen=True)
class GymName:
    """One Gymnasium environment, as a user names it.

    Attributes:
        text: all that stands after `gym:`.
        target: the id (also `module:ID`), or the path of a Python file.
        attribute: the class or function in the file; empty for an id.
        options: keyword arguments of the environment, as written.
    """

    text: str
    target: str
    attribute: str
    options: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """The name by which `tasks.registry.make` knows it."""
        return f"gym:{self.text}"

    @property
    def module(self) -> str:
        """The module that is imported first; empty where none is named."""
        return "" if self.attribute else self.target.rpartition(":")[0]

    @property
    def arguments(self) -> dict[str, Any]:
        """The keyword arguments: Python literals (`False`, `0.5`), and text where one is none."""
        return {name: _value(written) for name, written in self.options}


def parse_name(text: str) -> GymName:
    """Read `ID`, `module:ID` or `FILE.py:CLASS`, each with `,NAME=VALUE` for arguments.

    Raises:
        TaskError: no id, a file without a class, an argument that is not NAME=VALUE, or a character that cannot
            be printed.
    """
    if not text.isprintable():
        raise TaskError(f"gym: no environment is called {text!r}; it holds characters that cannot be printed")
    target, *options = text.split(",")
    if not target.strip():
        raise TaskError("gym: needs an environment, as in gym:Pendulum-v1 or gym:my_env.py:MyEnv")
    path, _, attribute = target.rpartition(":")
    if path.endswith(".py"):
        target = path
    else:
        attribute = ""
    if target.endswith(".py") and not attribute.isidentifier():
        raise TaskError(f"gym:{text}: say which class or function of the file, as in gym:{target}:MyEnv")
    return GymName(text, target, attribute, tuple(_option(text, option) for option in options))


def _option(text: str, option: str) -> tuple[str, str]:
    name, equals, value = (part.strip() for part in option.partition("="))
    if not equals or not name.isidentifier():
        raise TaskError(f"gym:{text}: an argument is written NAME=VALUE, not {option!r}")
    return name, value


def _value(written: str) -> Any:
    try:
        return ast.literal_eval(written)
    except (ValueError, SyntaxError):
        return written


GymEnv = gymnasium.Env[Any, Any]

_NEVER_END = "terminate_when_unhealthy"
"""Episodes run to their end: a robot that has fallen may get up, and a model should see how."""


def load_env(asked: GymName) -> GymEnv:
    """A new instance, with flat Box spaces and without a limit on the steps.

    Raises:
        TaskError: one line: no such environment, something that is not installed, a file that cannot be run,
            or spaces that are not boxes.
    """
    creator, make = _creator(asked)
    options = asked.arguments
    if _NEVER_END in inspect.signature(creator).parameters:
        options.setdefault(_NEVER_END, False)
    try:
        env = make(**options)
    except TaskError:
        raise
    except Exception as problem:
        raise TaskError(f"{asked.name}: {said(problem)}") from problem
    if not isinstance(env, gymnasium.Env):
        raise TaskError(f"{asked.name}: {asked.attribute} made no gymnasium.Env but {type(env).__name__}")
    return flat(env, asked.name)


def episode_steps(asked: GymName, env: GymEnv) -> int:
    """Control steps of an episode: its own `max_episode_steps`, what Gymnasium has registered, or 1000."""
    own = getattr(env.unwrapped, "max_episode_steps", None)
    if isinstance(own, int) and own > 0:
        return own
    registered = env.spec if asked.attribute else gymnasium.spec(asked.target.rpartition(":")[2])
    return (registered and registered.max_episode_steps) or 1000


def _creator(asked: GymName) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """What takes the options, and what makes the environment of them."""
    if asked.attribute:
        found = getattr(_module(Path(asked.target), asked), asked.attribute, None)
        if not callable(found):
            raise TaskError(f"{asked.name}: {asked.target} has no class or function {asked.attribute}")
        return found, found
    module, _, name = asked.target.rpartition(":")
    try:
        if module:
            importlib.import_module(module)
        entry = gymnasium.spec(name).entry_point
        creator = load_env_creator(entry) if isinstance(entry, str) else entry
    except error.UnregisteredEnv as problem:
        near = get_close_matches(name, list(gymnasium.registry), n=1)
        hint = (
            f"; did you mean {near[0]!r}?" if near else "; gymnasium.pprint_registry() lists those there are"
        )
        raise TaskError(f"{asked.name}: Gymnasium has no environment {name!r}{hint}") from problem
    except Exception as problem:
        raise TaskError(f"{asked.name}: {said(problem)}") from problem
    if creator is None:
        raise TaskError(f"{asked.name}: Gymnasium has it as a vector environment only")

    def make(**options: Any) -> GymEnv:
        return gymnasium.make(name, max_episode_steps=-1, disable_env_checker=True, **options)

    return creator, make


def _module(path: Path, asked: GymName) -> ModuleType:
    if not path.is_file():
        raise TaskError(f"{asked.name}: there is no file {path}")
    try:
        return _run(path.resolve())
    except (Exception, SystemExit) as problem:
        raise TaskError(f"{asked.name}: running {path} raised {said(problem)}") from problem


@cache
def _run(path: Path) -> ModuleType:
    """The module of a user's file: it is run, as any program that the user names."""
    name = f"gymnasium_file_{abs(hash(str(path))):x}"
    spec = util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = util.module_from_spec(spec)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # last: a helper beside the file is found, and shadows nothing
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


LARGEST = 2000
"""Most columns of an observation: beyond it stand pictures, and we plan from numbers."""


def flat(env: gymnasium.Env[Any, Any], name: str) -> gymnasium.Env[Any, Any]:
    """The environment with its observation as one row of numbers.

    Raises:
        TaskError: actions that are not a bounded Box, observations that are not boxes, or pictures, or a wrapper that
            changes what they mean as it goes.
    """
    actions, seen = env.action_space, env.observation_space
    if not isinstance(actions, spaces.Box):
        raise TaskError(
            f"{name}: its actions are {_kind(actions)}; planning needs numbers within bounds, a Box"
        )
    if not (actions.is_bounded() and np.issubdtype(actions.dtype, np.floating)):
        raise TaskError(
            f"{name}: its actions are {_kind(actions)}; planning needs finite bounds of real numbers, "
            "as gymnasium.wrappers.RescaleAction gives them"
        )
    if not _boxes(seen):
        raise TaskError(f"{name}: its observations are {_kind(seen)}; a Box, or a Dict of boxes, is needed")
    if (size := spaces.flatdim(seen)) > LARGEST:
        raise TaskError(
            f"{name}: observations of {size} numbers are pictures; planning needs at most {LARGEST}"
        )
    for wrapper in wrappers(env):
        if isinstance(wrapper, NormalizeObservation | NormalizeReward):
            raise TaskError(
                f"{name}: {type(wrapper).__name__} changes from step to step what its numbers mean; leave it out, "
                "models scale what they see by themselves"
            )
    return CheckedEnv(env, name)


def wrappers(env: gymnasium.Env[Any, Any]) -> Iterator[gymnasium.Env[Any, Any]]:
    """The wrappers around an environment, outermost first."""
    while isinstance(env, gymnasium.Wrapper):
        yield env
        env = env.env


def as_action(space: spaces.Box, action: Float[ndarray, " A"]) -> ndarray:
    """A row of numbers as the environment wants its action: within bounds, in its shape and type."""
    low, high = space.low.ravel(), space.high.ravel()
    shaped: ndarray = np.clip(action, low, high).astype(space.dtype).reshape(space.shape)
    return shaped


def _boxes(space: spaces.Space[Any]) -> bool:
    parts = space.spaces if isinstance(space, spaces.Dict | spaces.Tuple) else ()
    inner = list(parts.values()) if isinstance(parts, dict) else list(parts)
    return isinstance(space, spaces.Box) or (bool(inner) and all(map(_boxes, inner)))


def _kind(space: spaces.Space[Any]) -> str:
    text = " ".join(str(space).split())
    return text if len(text) <= 80 else f"{text[:77]}..."
