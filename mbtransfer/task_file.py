"""User tasks: a Python file with rewards and success predicates, tested before use."""

import copy
import linecache
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import util
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mbtransfer.errors import UserError
from tasks.environment import Environment
from tasks.recipe.yaml_reader import one_line
from tasks.simulator import Simulator
from tasks.task import Task

MAX_BYTES = 1024 * 1024


@dataclass(frozen=True)
class FunctionTask(Task):
    """A task made of two plain functions."""

    reward_function: Callable[[Tensor, Tensor, Tensor], Tensor]
    success_function: Callable[[Tensor], Tensor]

    def reward(
        self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b O"]
    ) -> Float[Tensor, "*b"]:
        """What the user's `reward` returns."""
        return self.reward_function(obs, action, next_obs)

    def success(self, obs: Float[Tensor, "*b O"]) -> Bool[Tensor, "*b"]:
        """What the user's `success` returns."""
        return self.success_function(obs)


def load_task_file(path: Path, env: Environment) -> list[Task]:
    """The tasks of a Python file, all of split "user", each tried on real observations.

    The file defines `reward(obs, action, next_obs)` and `success(obs)`, with `NAME` and `DESCRIPTION` if it
    likes; or tasks (instances of `tasks.task.Task`, or a list of them called `TASKS`), or subclasses of it.
    `spec` (the environment's) and `env` are there already. Names that begin with an underscore are left
    alone. The file is run: it can do all that a program of yours can.

    Raises:
        UserError: one line `FILE:LINE: ...`: the file cannot be read or run, defines no task, takes the name
            of one there is, or has a task that raises or does not return what it should.
    """
    module = _run(path, env)
    try:
        found = _tasks(module, path)
        _check_names(found, path, env)
        for task in found:
            try_task(task, path, env)
    except UserError:
        sys.modules.pop(module.__name__, None)
        raise
    return found


def _run(path: Path, env: Environment) -> ModuleType:
    """The module of the file, run with `spec` and `env` in it."""
    shown = one_line(str(path))
    name = f"task_file_{abs(hash(str(path.resolve()))):x}"
    module = ModuleType(name)
    module.__dict__.update(__file__=str(path), spec=env.spec, env=env)
    code = _compiled(path, shown)
    if (folder := str(path.resolve().parent)) not in sys.path:
        sys.path.append(folder)  # last: a helper beside the file is found, and shadows nothing
    sys.modules[name] = module  # where dataclasses look for the names in annotations
    linecache.checkcache(str(path))
    try:
        exec(code, module.__dict__)
    except (Exception, SystemExit) as error:
        sys.modules.pop(name, None)
        line = place_of(error, path)
        said = one_line(f"{type(error).__name__}: {error}", 300)
        raise UserError(f"{shown}{line}: running it raised {said}") from error
    return module


def _compiled(path: Path, shown: str) -> CodeType:
    try:
        if not path.is_file():
            what = "is not a file" if path.exists() else "does not exist"
            raise UserError(f"{shown}: {what}; --task-file takes a Python file that defines tasks")
        with path.open("rb") as file:
            source = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"{shown}: cannot be read ({error.strerror or error})") from error
    if len(source) > MAX_BYTES:
        raise UserError(f"{shown}: larger than {MAX_BYTES // 1024} KiB; a task file is a short program")
    try:
        code: CodeType = compile(util.decode_source(source), str(path), "exec")
    except SyntaxError as error:
        line = f":{error.lineno}" if error.lineno else ""
        raise UserError(f"{shown}{line}: not Python: {one_line(error.msg)}") from error
    except (ValueError, RecursionError, MemoryError) as error:  # not UTF-8, null bytes, absurd nesting
        raise UserError(f"{shown}: not Python: {one_line(str(error), 200)}") from error
    return code


def _tasks(module: ModuleType, path: Path) -> list[Task]:
    """Every task that the file defines, as split "user", in the order of the file."""
    public = {key: value for key, value in vars(module).items() if not key.startswith("_") and key != "env"}
    if "TASKS" in public:
        found = _listed(public["TASKS"], path)
    else:
        found = _functions(public, module, path)
        found += [value for value in public.values() if isinstance(value, Task)]
        made = {type(task) for task in found}
        found += [
            _instance(kind, path) for kind in public.values() if _is_own(kind, module) and kind not in made
        ]
    unique = list({id(task): task for task in found}.values())
    if not unique:
        raise UserError(
            f"{path}: defines no task; write reward(obs, action, next_obs) and success(obs), "
            "or tasks (instances of tasks.task.Task)"
        )
    return [_as_user(task) for task in unique]


def _listed(listed: Any, path: Path) -> list[Task]:
    items = list(listed.values()) if isinstance(listed, dict) else listed
    if not isinstance(items, list | tuple) or not all(isinstance(item, Task) for item in items):
        raise UserError(f"{path}: TASKS must be a list of tasks (instances of tasks.task.Task)")
    return list(items)


def _functions(public: dict[str, Any], module: ModuleType, path: Path) -> list[Task]:
    """The task made of `reward` and `success`, if they are there."""
    pair = [public.get(name) for name in ("reward", "success")]
    if not any(callable(function) for function in pair):
        return []
    for name, function in zip(("reward", "success"), pair, strict=True):
        if not callable(function):
            other = "success" if name == "reward" else "reward"
            raise UserError(f"{path}: defines {other} but no function {name}; a task needs both")
    name, text = public.get("NAME", path.stem), public.get("DESCRIPTION", _summary(module, pair[0]))
    for key, value in (("NAME", name), ("DESCRIPTION", text)):
        if not isinstance(value, str):
            raise UserError(f"{path}: {key} must be a text, not {type(value).__name__}")
    return [FunctionTask(name, one_line(text) or name, "user", pair[0], pair[1])]  # type: ignore[arg-type]


def _summary(*described: Any) -> str:
    texts = [(getattr(thing, "__doc__", None) or "").strip() for thing in described]
    return next((text.splitlines()[0] for text in texts if text), "")


def _is_own(kind: Any, module: ModuleType) -> bool:
    return isinstance(kind, type) and issubclass(kind, Task) and kind.__module__ == module.__name__


def _instance(kind: type[Task], path: Path) -> Task:
    """One task of a class that the file defines; its name is the class's own `name`, or the class's name."""
    own = {key: value for key, value in vars(kind).items() if key in ("name", "description")}
    name = own.get("name", kind.__name__)
    text = own.get("description", _summary(kind) or name)
    try:
        return kind(name=name, description=text, split="user")
    except Exception as error:
        said = one_line(f"{type(error).__name__}: {error}", 300)
        raise UserError(
            f"{path}{place_of(error, path)}: {kind.__name__} needs more than name, description and split "
            f"({said}); make one yourself: my_task = {kind.__name__}(...)"
        ) from error


def _as_user(task: Task) -> Task:
    mine = copy.copy(task)
    object.__setattr__(mine, "split", "user")
    return mine


def _check_names(found: list[Task], path: Path, env: Environment) -> None:
    seen: set[str] = set()
    for task in found:
        name = task.name
        if not isinstance(name, str) or not name.isprintable() or not name.strip() or set(name) & set("/\\"):
            raise UserError(f"{path}: a task cannot be called {name!r}; use letters, digits and _")
        if name.startswith(("-", ".")) or len(name) > 80:
            raise UserError(f"{path}: a task cannot be called {one_line(name, 90)!r}; use a short plain name")
        if name in env.tasks:
            raise UserError(
                f"{path}: {env.spec.name} has a task {name!r} already; choose another name "
                "(a variable that begins with _ is left alone)"
            )
        if name in seen:
            raise UserError(f"{path}: defines two tasks called {name!r}; give each a name of its own")
        seen.add(name)


_SHAPES: tuple[tuple[int, ...], ...] = ((12,), (3, 4), ())
"""Leading dimensions of what a task is tried on: a batch, a batch of batches, a single state."""

_FITS = "obs[..., column] fits every shape"


def try_task(task: Task, path: Path, env: Environment) -> None:
    """Call `reward` and `success` as a planner would, on 12 real transitions.

    Raises:
        UserError: one line `FILE:LINE: ...`: it raised, returned another shape or dtype than it should, or a
            reward that is not finite, changed what it was given, or mixed the rows of a batch.
    """
    obs, action, next_obs = _transitions(env.make_scene)
    _try(task, path, "reward", (obs, action, next_obs), torch.float32)
    _try(task, path, "success", (obs,), torch.bool)
    _try(task, path, "is_valid_start", (obs,), torch.bool)


@cache
def _transitions(make_scene: Callable[[tuple[str, ...]], Simulator]) -> tuple[Tensor, Tensor, Tensor]:
    """Observations [12, O] from random starts, random actions [12, A], and what follows [12, O]."""
    rng, scene = np.random.default_rng(0), make_scene(())
    low, high = (np.array([getattr(v, end) for v in scene.spec.action]) for end in ("low", "high"))
    states = scene.sample_states(rng, 12)
    actions = rng.uniform(low, high, (12, 1, len(low))).astype(np.float32)
    after = scene.observe(scene.rollout(states, actions)[:, 0])
    return torch.from_numpy(scene.observe(states)), torch.from_numpy(actions[:, 0]), torch.from_numpy(after)


def _try(task: Task, path: Path, method: str, given: tuple[Tensor, ...], dtype: torch.dtype) -> None:
    """One method on each of `_SHAPES`; the rows must come out the same each time."""
    call = getattr(task, f"{method}_function", None) or getattr(task, method)
    first: Tensor | None = None
    for shape in _SHAPES:
        rows = int(np.prod(shape))
        kept = [x[:rows].reshape(*shape, -1) for x in given]
        lent = [x.clone() for x in kept]
        try:
            returned = call(*lent)
        except (Exception, SystemExit) as error:
            said = one_line(f"{type(error).__name__}: {error}", 300)
            where = place_of(error, path) or _line_of(task, method, path)
            raise UserError(
                f"{path}{where}: {method} of task {task.name!r} raised {said} on observations of shape "
                f"{list(lent[0].shape)}; {_FITS}"
            ) from error
        problem = _problem(returned, shape, dtype)
        if not problem and not all(map(torch.equal, lent, kept)):
            problem = "changed the tensors it was given; compute new ones instead"
        if not problem and first is not None and not _agree(returned.flatten(), first):
            problem = "gives a state another value when other states are asked with it, or asked again"
        if problem:
            raise UserError(f"{path}{_line_of(task, method, path)}: {method} of task {task.name!r} {problem}")
        first = returned.flatten() if first is None else first


def _problem(returned: Any, shape: tuple[int, ...], dtype: torch.dtype) -> str:
    """What is wrong with what came back; empty if nothing."""
    wanted = f"a torch tensor of shape {list(shape)} and dtype {str(dtype).removeprefix('torch.')}"
    if not isinstance(returned, Tensor):
        return f"returned {type(returned).__name__}, not {wanted}"
    if tuple(returned.shape) != shape:
        return f"returned shape {list(returned.shape)}, not {list(shape)}: one value for each row; {_FITS}"
    if returned.dtype != dtype:
        return f"returned dtype {str(returned.dtype).removeprefix('torch.')}, not {wanted}"
    if dtype != torch.bool and not bool(torch.isfinite(returned).all()):
        return "returned NaN or infinity; every reward must be a finite number"
    return ""


def _agree(some: Tensor, others: Tensor) -> bool:
    """Whether the rows that both have are the same, up to rounding."""
    n = min(len(some), len(others))
    return torch.allclose(some[:n].float(), others[:n].float(), rtol=1e-3, atol=1e-4)


def place_of(error: BaseException, path: Path) -> str:
    """`:LINE` of the innermost line of the user's file that led to the error; empty if none did."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    return f":{lines[-1]}" if lines else ""


def _line_of(task: Task, method: str, path: Path) -> str:
    """`:LINE` where the user's file defines the method or function; empty if it does not."""
    function = getattr(task, f"{method}_function", None) or getattr(type(task), method, None)
    code = getattr(getattr(function, "__wrapped__", function), "__code__", None)
    return f":{code.co_firstlineno}" if code is not None and code.co_filename == str(path) else ""
