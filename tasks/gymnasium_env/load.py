"""Makes the Gymnasium environment that was asked for, or says in one line why it cannot be had."""

import importlib
import inspect
import sys
from collections.abc import Callable
from difflib import get_close_matches
from functools import cache
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium
from gymnasium import error
from gymnasium.envs.registration import load_env_creator

from tasks.errors import TaskError
from tasks.gymnasium_env.asked import Asked
from tasks.gymnasium_env.spaces import flat

GymEnv = gymnasium.Env[Any, Any]

_NEVER_END = "terminate_when_unhealthy"
"""Episodes run to their end: a robot that has fallen may get up, and a model should see how."""


def load(asked: Asked) -> GymEnv:
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
        raise TaskError(f"{asked.name}: {_said(problem)}") from problem
    if not isinstance(env, gymnasium.Env):
        raise TaskError(f"{asked.name}: {asked.attribute} made no gymnasium.Env but {type(env).__name__}")
    return flat(env, asked.name)


def episode_steps(asked: Asked, env: GymEnv) -> int:
    """Control steps of an episode: its own `max_episode_steps`, what Gymnasium has registered, or 1000."""
    own = getattr(env.unwrapped, "max_episode_steps", None)
    if isinstance(own, int) and own > 0:
        return own
    registered = env.spec if asked.attribute else gymnasium.spec(asked.target.rpartition(":")[2])
    return (registered and registered.max_episode_steps) or 1000


def _creator(asked: Asked) -> tuple[Callable[..., Any], Callable[..., Any]]:
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
        raise TaskError(f"{asked.name}: {_said(problem)}") from problem
    if creator is None:
        raise TaskError(f"{asked.name}: Gymnasium has it as a vector environment only")

    def make(**options: Any) -> GymEnv:
        return gymnasium.make(name, max_episode_steps=-1, disable_env_checker=True, **options)

    return creator, make


def _module(path: Path, asked: Asked) -> ModuleType:
    if not path.is_file():
        raise TaskError(f"{asked.name}: there is no file {path}")
    try:
        return _run(path.resolve())
    except (Exception, SystemExit) as problem:
        raise TaskError(f"{asked.name}: running {path} raised {_said(problem)}") from problem


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


def _said(problem: BaseException) -> str:
    text = " ".join(str(problem).split())
    kind = "" if isinstance(problem, error.Error) else f"{type(problem).__name__}: "
    return f"{kind}{text[:300]}"
