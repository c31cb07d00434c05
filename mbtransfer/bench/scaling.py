"""How time and memory of a decision grow with what is asked for, one thing at a time."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any

from mbtransfer.bench.kitchen import KitchenDecisions
from mbtransfer.bench.planner import peak_memory_mb
from mbtransfer.bench.work import Decisions, Work

AXES: dict[str, tuple[int, ...]] = {
    "candidates": (32, 128, 512, 2048),
    "horizon": (5, 10, 20, 40),
    "particles": (1, 2, 5, 10),
    "members": (2, 5, 10, 20),
    "obs": (8, 17, 64, 256),
}
"""What grows in the made-up work, and how far."""

BATCHES = ((1, 1), (4, 1), (4, 4), (16, 16), (64, 1), (64, 33))
"""Episodes and tasks of the kitchen decided in one call."""

BASE = Work(planner="mppi", candidates=128, horizon=10, iterations=1)
"""Where everything else stays."""


def measure_scaling(base: Work, seconds: float = 1.0) -> list[dict[str, Any]]:
    """One row per point: `axis`, `value`, `decision_ms` (median of one episode's share) and `memory_mb`.

    Memory is what the process, or the GPU, held at the most beyond what it held before the point; on the CPU
    only growth beyond all earlier points can be seen, so that small points read zero.

    Args:
        base: settings of the axes that do not move; precision and device count for all.
        seconds: how long each point is measured.
    """
    rows = []
    for axis, value, episodes, make in _points(base):
        before = peak_memory_mb(base.device)
        decide = make()
        times = _times(decide, seconds)
        rows.append(
            {
                "axis": axis,
                "value": value,
                "decision_ms": 1e3 * median(times) / episodes,
                "memory_mb": max(0.0, peak_memory_mb(base.device) - before),
            }
        )
    return rows


def _points(base: Work) -> Iterator[tuple[str, str, int, Callable[[], Callable[[], object]]]]:
    for episodes, tasks in BATCHES:
        make = partial(KitchenDecisions, episodes, tasks, base.precision, base.device)
        yield "episodes of tasks", f"{episodes} of {tasks}", episodes, make
    for axis, values in AXES.items():
        for number in values:
            grown: dict[str, Any] = {axis: number}
            yield axis, str(number), 1, partial(Decisions, replace(base, **grown))


def _times(decide: Callable[[], object], seconds: float) -> list[float]:
    for _ in range(2):
        decide()
    times: list[float] = []
    start = perf_counter()
    while len(times) < 5 or perf_counter() - start < seconds:
        begin = perf_counter()
        decide()
        times.append(perf_counter() - begin)
    return times
