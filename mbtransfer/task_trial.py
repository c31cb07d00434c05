"""Tries a user's task on real observations, and says in one line what is wrong with it and where."""

import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mbtransfer.errors import UserError
from tasks.environment import Environment
from tasks.recipe.nodes import one_line
from tasks.scene import Scene
from tasks.task import Task

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
    _try(task, path, "fresh", (obs,), torch.bool)


@cache
def _transitions(make_scene: Callable[[tuple[str, ...]], Scene]) -> tuple[Tensor, Tensor, Tensor]:
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
