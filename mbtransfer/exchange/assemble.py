"""One episode from the arrays of another format, which may lack what the last step led to."""

from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from mbtransfer.episode import Episode
from mbtransfer.errors import UserError
from mbtransfer.exchange.flatten import to_float32
from mbtransfer.exchange.reading import numbers


def assemble(
    name: str, obs: Float32[ndarray, "rows O"], actions: Any, *, behaviour: str, seed: int, terminated: bool,
    next_obs: ndarray | None = None, rewards: Any = None, state: Any = None,
    truncated: bool | None = None,
) -> Episode | None:  # fmt: skip
    """An episode of T steps, with T + 1 observations and states.

    Where the last observation or the last state is lacking, the last step is left out: the episode is then cut
    (truncated), and None if nothing is left. `truncated` is None where it is the rest: what did not terminate.

    Raises:
        UserError: lengths that do not fit each other, or observations that do not follow each other.
    """
    actions = to_float32(_rows(name, "actions", actions))
    steps = len(actions)
    obs = _followed(name, obs, next_obs, steps)
    state = np.zeros((len(obs), 0)) if state is None else _rows(name, "states", state)
    paid = None if rewards is None else _paid(name, rewards, steps)
    for part, array in (("observations", obs), ("states", state)):
        if len(array) not in (steps, steps + 1):
            raise UserError(f"{name}: {len(array)} {part} do not fit {steps} actions")
    kept = min(len(obs), len(state)) - 1
    if kept < 1 < steps + 1:
        return None
    cut = kept < steps
    return Episode(
        obs[: kept + 1], actions[:kept], np.ascontiguousarray(state[: kept + 1], np.float64), behaviour, seed,
        terminated=terminated and not cut, truncated=cut or (not terminated if truncated is None else truncated),
        rewards=None if paid is None else paid[:kept],
    )  # fmt: skip


def _followed(name: str, obs: ndarray, next_obs: ndarray | None, steps: int) -> ndarray:
    """All observations, with the one after the last action where it is known."""
    if next_obs is None or len(obs) != steps or steps == 0:
        return obs
    if next_obs.shape != obs.shape:
        raise UserError(f"{name}: next observations are {next_obs.shape}, observations {obs.shape}")
    apart = ~np.isclose(next_obs[:-1], obs[1:], rtol=1e-4, atol=1e-5, equal_nan=True).all(axis=1)
    if apart.any():
        step = int(np.argmax(apart))
        raise UserError(f"{name}: step {step} does not lead to step {step + 1}; transitions must be in order")
    return np.concatenate([obs, next_obs[-1:]])


def _rows(name: str, part: str, values: Any) -> ndarray:
    array = numbers(f"{name}: {part}", values)
    if array.ndim != 2:
        raise UserError(f"{name}: {part} have shape {array.shape}; one row of numbers per step is needed")
    return array


def _paid(name: str, values: Any, steps: int) -> ndarray:
    array = numbers(f"{name}: rewards", values)
    if array.shape not in ((steps,), (steps, 1)):
        raise UserError(f"{name}: rewards have shape {array.shape}, {steps} actions need ({steps},)")
    return np.ascontiguousarray(array.reshape(steps), np.float64)
