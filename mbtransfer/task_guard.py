"""Guards around the functions of users' tasks: each fault is one line that says where it is and what to do."""

import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mbtransfer.errors import UserError
from tasks.environment import Environment
from tasks.recipe.yaml_reader import one_line
from tasks.simulator import Simulator
from tasks.spec import EnvSpec, Variable
from tasks.task import Task, parts_of

_SHAPES: tuple[tuple[int, ...], ...] = ((12,), (3, 4), ())
"""Leading dimensions of what a task is tried on: a batch, a batch of batches, a single state."""

_FITS = "obs[..., column] fits every shape"
_FINITE = "clamp what goes into a root, a logarithm or a division"


class FaultyTask(UserError):
    """A function of a user's task failed, or returned what it should not: `FILE:LINE: ...`."""


def guard(task: Task, path: Path) -> None:
    """Put a guard around the functions of a task, and of the user's tasks that it is made of, in place.

    From then on they raise `FaultyTask` where they fail or return another shape or kind than they should. What they
    return is put on the device of the observations, without gradients where these have none, and rewards into their
    dtype.

    Args:
        task: the task.
        path: the file that defines it.
    """
    for part in _of_user(task):
        for method in ("reward", "success", "is_valid_start"):
            if not isinstance(vars(part).get(method), _Guarded):
                object.__setattr__(part, method, _Guarded(part, method, _function(part, method), path))


def try_task(task: Task, env: Environment) -> None:
    """Call the functions of a guarded task as a planner would, on 12 real transitions.

    Without a simulator they are drawn from the columns' ranges.

    Raises:
        FaultyTask: what the guard raises; or a reward is not finite, a function changed what it was given, or mixed the
            rows of a batch.
    """
    obs, action, next_obs = _transitions(env.make_scene) if env.simulated else _drawn(env.spec)
    for part in _of_user(task):
        _try(vars(part)["reward"], obs, action, next_obs)
        _try(vars(part)["success"], obs)
        _try(vars(part)["is_valid_start"], obs)


def check_finite(task: Task, reward: Float[Tensor, " n"], seen: str = "transitions of the pool") -> None:
    """Refuse rewards that are not finite; `seen` says of what they are.

    Raises:
        FaultyTask: some are not; says how many.
    """
    if bad := int((~reward.isfinite()).sum()):
        raise fault(task, "reward", f"is NaN or infinite in {bad:,} of {len(reward):,} {seen}; {_FINITE}")


def place_of(error: BaseException, path: Path) -> str:
    """`:LINE` of the innermost line of the user's file that led to the error; empty if none did."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    return f":{lines[-1]}" if lines else ""


def fault(task: Task, method: str, problem: str, line: str = "") -> FaultyTask:
    """The error that says what is wrong with a function of a task, and where it is if a guard knows that."""
    guarded = vars(task).get(method)
    where = f"{guarded.path}{line or guarded.line}: " if isinstance(guarded, _Guarded) else ""
    return FaultyTask(f"{where}{method} of task {task.name!r} {problem}")


@dataclass(frozen=True, eq=False)
class _Guarded:
    """A function of a task, with its guard."""

    task: Task
    method: str
    function: Callable[..., Any]
    path: Path

    def __call__(self, *given: Tensor) -> Tensor:
        """What the function returns, checked."""
        obs = given[-1]
        try:
            returned = self.function(*given)
        except FaultyTask:
            raise
        except (Exception, SystemExit) as error:
            said = one_line(f"{type(error).__name__}: {error}", 300)
            shown = f"raised {said} on observations of shape {list(obs.shape)}; {_FITS}"
            raise fault(self.task, self.method, shown, place_of(error, self.path)) from error
        if problem := _problem(returned, tuple(obs.shape[:-1]), self.method):
            raise fault(self.task, self.method, problem)
        returned = returned.to(obs) if self.method == "reward" else returned.to(obs.device)
        return returned if any(x.requires_grad for x in given) else returned.detach()

    @property
    def line(self) -> str:
        """`:LINE` where the user's file defines the function; empty if it does not."""
        function = getattr(self.function, "__func__", self.function)
        code = getattr(getattr(function, "__wrapped__", function), "__code__", None)
        return f":{code.co_firstlineno}" if code is not None and code.co_filename == str(self.path) else ""


def _function(task: Task, method: str) -> Callable[..., Any]:
    """The user's own function, where the task is made of functions."""
    found: Callable[..., Any] = getattr(task, f"{method}_function", None) or getattr(task, method)
    return found


def _of_user(task: Task) -> Iterator[Task]:
    """The user's own among the tasks that a task is made of, at any depth, and the task itself."""
    for part in parts_of(task):
        yield from _of_user(part)
    if type(task).__module__.partition(".")[0] != "tasks":
        yield task


def _problem(returned: Any, shape: tuple[int, ...], method: str) -> str:
    """What is wrong with the kind of what came back; empty if nothing."""
    if not isinstance(returned, Tensor):
        return f"returned {type(returned).__name__}, not a torch tensor of shape {list(shape)}"
    if tuple(returned.shape) != shape:
        return f"returned shape {list(returned.shape)}, not {list(shape)}: one value for each row; {_FITS}"
    kind = str(returned.dtype).removeprefix("torch.")
    if method == "reward":
        return f"returned dtype {kind}; every reward must be a real number" if returned.is_complex() else ""
    if returned.dtype != torch.bool:
        return f"returned dtype {kind}, not bool: compare, for instance `gap < 0.02`"
    return ""


def _try(call: _Guarded, *given: Tensor) -> None:
    """One function on each of `_SHAPES`; the rows must come out the same each time."""
    first: Tensor | None = None
    for shape in _SHAPES:
        kept = [x[: int(np.prod(shape))].reshape(*shape, -1) for x in given]
        lent = [x.clone() for x in kept]
        returned = call(*lent).flatten()
        problem = ""
        if not bool(returned.isfinite().all()):
            problem = f"returned NaN or infinity; {_FINITE}"
        elif not all(map(torch.equal, lent, kept)):
            problem = "changed the tensors it was given; compute new ones instead"
        elif first is not None and not _agree(returned, first):
            problem = "gives a state another value when other states are asked with it, or asked again"
        if problem:
            raise fault(call.task, call.method, problem)
        first = returned if first is None else first


def _agree(some: Tensor, others: Tensor) -> bool:
    """Whether the rows that both have are the same, up to rounding."""
    n = min(len(some), len(others))
    return torch.allclose(some[:n].float(), others[:n].float(), rtol=1e-3, atol=1e-4)


@cache
def _transitions(make_scene: Callable[[tuple[str, ...]], Simulator]) -> tuple[Tensor, Tensor, Tensor]:
    """Observations [12, O] from random starts, random actions [12, A], and what follows [12, O]."""
    rng, scene = np.random.default_rng(0), make_scene(())
    low, high = (np.array([getattr(v, end) for v in scene.spec.action]) for end in ("low", "high"))
    states = scene.sample_states(rng, 12)
    actions = rng.uniform(low, high, (12, 1, len(low))).astype(np.float32)
    after = scene.observe(scene.rollout(states, actions)[:, 0])
    return torch.from_numpy(scene.observe(states)), torch.from_numpy(actions[:, 0]), torch.from_numpy(after)


def _drawn(spec: EnvSpec) -> tuple[Tensor, Tensor, Tensor]:
    """Observations [12, O], actions [12, A] and next observations [12, O] from the columns' ranges."""
    rng = np.random.default_rng(0)

    def rows(columns: tuple[Variable, ...]) -> Tensor:
        low, high = (np.array([getattr(column, end) for column in columns]) for end in ("low", "high"))
        return torch.from_numpy(rng.uniform(low, high, (12, len(columns))).astype(np.float32))

    return rows(spec.observation), rows(spec.action), rows(spec.observation)
