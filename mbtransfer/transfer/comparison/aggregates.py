"""Aggregates over tasks and runs of a comparison, with 95% intervals of a stratified bootstrap.

They are those of `mbtransfer.evaluation.statistics` (rliable: Agarwal et al. 2021, "Deep reinforcement learning at the
edge of the statistical precipice"): a run is one task with one seed, and the interquartile mean (IQM) is that of the
middle half of all runs. Tasks are strata; a task's seeds are drawn with replacement or, if there is one, its episodes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbtransfer.evaluation.statistics import (
    AGGREGATES,
    CONFIDENCE,
    RESAMPLES,
    Interval,
    wilson_interval,
)

Values = NDArray[np.float64]
"""What the episodes of one task count, [seeds, episodes]."""

NAMES = tuple(AGGREGATES)
"""What is aggregated to: mean, iqm, median and min."""

INTERVALS = {name: "ci95" if name == "mean" else f"{name}_ci95" for name in NAMES}
"""What the interval of each is called, as in the summary of `mbtransfer evaluate`."""


def aggregates(tasks: Sequence[Values], seed: int) -> dict[str, Any]:
    """`mean`, `iqm`, `median` and `min` over tasks, and their `INTERVALS`; all None without tasks.

    Args:
        tasks: values of each task.
        seed: seed of the bootstrap.
    """
    if not tasks:
        return dict.fromkeys((*NAMES, *INTERVALS.values()))
    runs, samples = [task.mean(axis=1)[None] for task in tasks], resamples(tasks, seed)
    found: dict[str, Any] = {}
    for name, of in AGGREGATES.items():
        found[name] = float(of(runs)[0])
        found[INTERVALS[name]] = middle(of(samples))
    return found


def shares(tasks: Sequence[Values], seed: int) -> dict[str, Any]:
    """The same for successes, 0 or 1; runs without a difference get Wilson's interval of all episodes as their mean's.

    Nothing can be resampled there, but there are finitely many episodes.
    """
    found = aggregates(tasks, seed)
    if tasks and found["ci95"][0] == found["ci95"][1]:
        every = np.concatenate([task.ravel() for task in tasks])
        found["ci95"] = wilson_interval(round(float(every.sum())), len(every))
    return found


def resamples(tasks: Sequence[Values], seed: int) -> list[NDArray[np.float64]]:
    """Resample the runs of each task `RESAMPLES` times, [RESAMPLES, seeds] per task; a single run by its episodes."""
    generator, samples = np.random.default_rng(seed), list[NDArray[np.float64]]()
    for task in tasks:
        single = len(task) == 1
        values = task[0] if single else task.mean(axis=1)
        drawn = values[generator.integers(len(values), size=(RESAMPLES, len(values)))]
        samples.append(drawn.mean(axis=1, keepdims=True) if single else drawn)
    return samples


def middle(samples: NDArray[np.float64]) -> Interval:
    """Bounds of the middle 95%."""
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(samples, [tail, 100 - tail])
    return float(low), float(high)
