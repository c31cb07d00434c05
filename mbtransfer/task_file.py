"""User tasks: a Python file with rewards, success predicates and sequences of tasks, tested before use."""

import copy
import linecache
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor

from mbtransfer.errors import UserError
from mbtransfer.task_guard import guard, place_of, try_task
from tasks.environment import Environment
from tasks.recipe.recipe import Recipe, tasks_of
from tasks.recipe.yaml_reader import one_line
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


def load_task_file(path: Path, env: Environment) -> list[Task | Recipe]:
    """The tasks of a Python file, all of split "user", and its recipes, each tried on real observations.

    The file defines `reward(obs, action, next_obs)` and `success(obs)`, with `NAME` and `DESCRIPTION` if it
    likes; or tasks (instances of `tasks.task.Task`) and recipes (see `tasks.combinators.then`), or a list of them
    called `TASKS`, or subclasses of `Task`.
    `spec` (the environment's) and `env` are there already. Names that begin with an underscore are left
    alone. The file is run: it can do all that a program of yours can.

    Raises:
        UserError: one line `FILE:LINE: ...`: the file cannot be read or run, defines no task, takes the name
            of one there is, or has a task that raises or does not return what it should, now or when called later.
    """
    module = run_file(path, env)
    try:
        found = _tasks(module, path)
        _check_names(found, path, env)
        for task in tasks_of(found):
            guard(task, path)
            try_task(task, env)
    except UserError:
        sys.modules.pop(module.__name__, None)
        raise
    return found


def run_file(path: Path, env: Environment) -> ModuleType:
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


def _tasks(module: ModuleType, path: Path) -> list[Task | Recipe]:
    """Every task and recipe that the file defines, as split "user", in the order of the file."""
    public = {key: value for key, value in vars(module).items() if not key.startswith("_") and key != "env"}
    found: list[Task | Recipe]
    if "TASKS" in public:
        found = _listed(public["TASKS"], path)
    else:
        found = [*_functions(public, module, path)]
        found += [value for value in public.values() if isinstance(value, Task | Recipe)]
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
    return [_as_user(one) if isinstance(one, Task) else one for one in unique]


def _listed(listed: Any, path: Path) -> list[Task | Recipe]:
    items = list(listed.values()) if isinstance(listed, dict) else listed
    if not isinstance(items, list | tuple) or not all(isinstance(item, Task | Recipe) for item in items):
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


def _check_names(found: list[Task | Recipe], path: Path, env: Environment) -> None:
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
