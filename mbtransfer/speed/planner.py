"""Decision speed beside the matrix products that it needs, and how both scale."""

import resource
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch

from mbtransfer.speed.workload import Decisions, KitchenDecisions, Work
from world_models.dynamics.kernels import Kernel
from world_models.dynamics.rollout import Imagination

WARM_UP = 3
"""First decisions, which find memory and compile; their time is told, but does not count."""

LEAST = 10
"""Decisions measured at the least, however slow they are."""


def measure_planner(work: Work, seconds: float = 5.0) -> dict[str, Any]:
    """Model steps per second, the limit that products alone set, and how long decisions take.

    The limit is measured in the same run, by turns: the products of all layers, of the same shapes and number
    format, and nothing else; once as the agent multiplies, and once in the usual way, torch's weights times columns. A
    model step is one observation predicted by one member.

    Args:
        work: how much.
        seconds: how long to measure.

    Returns:
        `model_steps_per_second`, `limit_model_steps_per_second`, `usual_limit_model_steps_per_second`,
        `fraction_of_limit` (the share of a decision that is products), `decision_ms` (`p50`, `p95`, `p99`),
        `warm_up_ms` (the first decisions), `peak_memory_mb` (of the process, or on the GPU), `kernel` (how the agent
        multiplies), `settings`.

    Raises:
        PlannerError: no such planner, or a setting out of its range.
    """
    decide, begin = Decisions(work), perf_counter()
    for _ in range(WARM_UP):
        decide()
    warm_up, kernel = perf_counter() - begin, decide.imagination.kernel
    steps = decide.model_steps // WARM_UP
    products, usual = (_products(work, one) for one in (kernel, Kernel("torch", kernel.precision)))
    products(), usual()
    taken, bare, as_usual = list[float](), list[float](), list[float]()
    begin = perf_counter()
    while len(taken) < LEAST or perf_counter() - begin < seconds:
        taken.append(_seconds(decide))
        bare.append(_seconds(products))
        as_usual.append(_seconds(usual))
    rate, limit = steps / median(taken), work.model_steps / median(bare)
    quantiles = np.percentile(1e3 * np.array(taken), [50, 95, 99])
    return {
        "model_steps_per_second": rate,
        "limit_model_steps_per_second": limit,
        "usual_limit_model_steps_per_second": work.model_steps / median(as_usual),
        "fraction_of_limit": rate / limit,
        "decision_ms": dict(zip(("p50", "p95", "p99"), map(float, quantiles), strict=True)),
        "warm_up_ms": 1e3 * warm_up,
        "decisions": len(taken),
        "peak_memory_mb": peak_memory_mb(work.device),
        "kernel": str(kernel),
        "settings": work.described() | {
            "dtype": kernel.precision, "threads": torch.get_num_threads(),
        },
    }  # fmt: skip


def peak_memory_mb(device: str) -> float:
    """The most memory that was ever held: by this process, or by tensors on the GPU."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / 2**20
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _seconds(work: Callable[[], object]) -> float:
    begin = perf_counter()
    work()
    return perf_counter() - begin


@torch.no_grad()
def _products(work: Work, kernel: Kernel) -> Callable[[], None]:
    """The products of one decision."""
    imagination = Imagination(work.dynamics(), work.particles, kernel=kernel)

    def multiply() -> None:
        imagination.multiply(work.iterations * work.horizon, work.episodes * work.candidates)
        if work.device.startswith("cuda"):
            torch.cuda.synchronize(work.device)

    return multiply


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
