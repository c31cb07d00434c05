"""Measures of lifelong learning: what a stream of tasks gives to later tasks, and takes from earlier ones.

They are those of Continual World (Wołczyk et al. 2021, "Continual World: A robotic benchmark for continual
reinforcement learning", section 4.2), and backward transfer (Lopez-Paz and Ranzato 2017, "Gradient episodic memory for
continual learning", section 2). N tasks come one after the other. Most measures need a matrix alone:

    success[i, j]   after learning task i, on task j.

Entries above the diagonal, of tasks that have not come yet, are never read and may be NaN.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.errors import UserError


def average_performance(success: Float[ndarray, "after on"]) -> float:
    """Success at the end of the stream, mean over tasks: 1/N sum_i p_i(T).

    Raises:
        UserError: not a matrix of successes.
    """
    return float(_checked(success)[-1].mean())


def forgetting(success: Float[ndarray, "after on"]) -> float:
    """What was lost since each task was learned: 1/N sum_i p_i(i Delta) - p_i(T); of the last one, nothing.

    Raises:
        UserError: not a matrix of successes.
    """
    checked = _checked(success)
    return float((checked.diagonal() - checked[-1]).mean())


def backward_transfer(success: Float[ndarray, "after on"]) -> float:
    """What later tasks gave to earlier ones: 1/(N-1) sum_i<N R_N,i - R_i,i, so -N/(N-1) times the forgetting.

    Raises:
        UserError: not a matrix of successes, or a single task.
    """
    checked = _checked(success)
    if len(checked) < 2:
        raise UserError("backward transfer needs at least two tasks; a single one has none before it")
    return float((checked[-1] - checked.diagonal())[:-1].mean())


def area(
    curves: Float[ndarray, "tasks points"], times: Float[ndarray, " points"]
) -> Float[ndarray, " tasks"]:
    """Mean success over the training of each task: area under its curve, by trapezoids, over the time it took.

    Args:
        curves: success of each task while it is learned.
        times: when it was measured: steps, or episodes, since the task came.

    Raises:
        UserError: wrong shapes, successes that are none, or times that do not rise.
    """
    curves, times = np.asarray(curves), np.asarray(times)
    if curves.ndim != 2 or times.shape != curves.shape[1:] or len(times) < 2:
        raise UserError(
            f"curves of success are [tasks, points] with a time for each of two points or more, not {curves.shape} "
            f"with {times.shape}"
        )
    if not bool((np.diff(times) > 0).all() and np.isfinite(times).all()):
        raise UserError("times of a curve must rise from point to point")
    _check_shares(curves)
    middles = (curves[:, 1:] + curves[:, :-1]) / 2
    return np.asarray(middles @ np.diff(times) / (times[-1] - times[0]))


def forward_transfer(
    curves: Float[ndarray, "tasks points"],
    alone: Float[ndarray, "_ _"],
    times: Float[ndarray, " points"],
) -> float:
    """How much faster tasks are learned in the stream than alone: mean of (AUC_i - AUC_i^b) / (1 - AUC_i^b).

    AUC is `area`; b is for training alone. A task that is perfect alone from the start leaves nothing to gain and does
    not count; without any other the answer is NaN.

    Args:
        curves: success of each task while it is learned in the stream.
        alone: [tasks, points], the same without the tasks before it.
        times: when it was measured, for both.

    Raises:
        UserError: see `area`; or curves of other tasks or times.
    """
    if np.shape(curves) != np.shape(alone):
        raise UserError(
            f"curves in the stream and alone must have one shape, not {np.shape(curves)}, {np.shape(alone)}"
        )
    ours, base = area(curves, times), area(alone, times)
    room = 1 - base
    counts = room > 0
    return float(((ours - base)[counts] / room[counts]).mean()) if counts.any() else float("nan")


def _checked(success: Float[ndarray, "after on"]) -> Float[ndarray, "after on"]:
    found = np.asarray(success)
    if found.ndim != 2 or found.shape[0] != found.shape[1] or not len(found):
        raise UserError(
            f"success must be a square matrix, [after task i, on task j], not of shape {found.shape}"
        )
    _check_shares(found[np.tril_indices(len(found))])
    return found


def _check_shares(values: ndarray) -> None:
    wrong = values[~((values >= 0) & (values <= 1))]
    if len(wrong):
        raise UserError(f"success must be between 0 and 1, not {wrong[0]:g}")
