"""How fast one decision is, beside the matrix products that no decision can do without."""

import resource
import sys
from collections.abc import Callable
from itertools import pairwise
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mbtransfer.bench.work import Decisions, Work
from world_models.precision import name_of

WARM_UP = 3
"""First decisions, which find memory and compile; their time is told, but does not count."""

LEAST = 10
"""Decisions measured at the least, however slow they are."""


def measure_planner(work: Work, seconds: float = 5.0) -> dict[str, Any]:
    """Model steps per second, the limit that products alone set, and how long decisions take.

    The limit is measured in the same run, by turns: the products of all layers, of the same shapes and number
    format, and nothing else. A model step is one observation predicted by one member.

    Args:
        work: how much.
        seconds: how long to measure.

    Returns:
        `model_steps_per_second`, `limit_model_steps_per_second`, `fraction_of_limit`, `decision_ms` (`p50`,
        `p95`, `p99`), `warm_up_ms` (the first decisions), `peak_memory_mb` (of the process, or on the GPU),
        `settings`.

    Raises:
        PlannerError: no such planner, or a setting out of its range.
    """
    decide, begin = Decisions(work), perf_counter()
    for _ in range(WARM_UP):
        decide()
    warm_up, dtype = perf_counter() - begin, decide.imagination.dtype
    steps = decide.model_steps // WARM_UP
    products = _products(work, dtype)
    products()
    taken, bare = list[float](), list[float]()
    begin = perf_counter()
    while len(taken) < LEAST or perf_counter() - begin < seconds:
        taken.append(_seconds(decide))
        bare.append(_seconds(products))
    rate, limit = steps / median(taken), work.model_steps / median(bare)
    quantiles = np.percentile(1e3 * np.array(taken), [50, 95, 99])
    return {
        "model_steps_per_second": rate,
        "limit_model_steps_per_second": limit,
        "fraction_of_limit": rate / limit,
        "decision_ms": dict(zip(("p50", "p95", "p99"), map(float, quantiles), strict=True)),
        "warm_up_ms": 1e3 * warm_up,
        "decisions": len(taken),
        "peak_memory_mb": peak_memory_mb(work.device),
        "settings": work.described() | {
            "dtype": name_of(dtype), "threads": torch.get_num_threads(),
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
def _products(work: Work, dtype: torch.dtype) -> Callable[[], None]:
    """The products of one decision, into buffers that are there already."""
    rows = work.episodes * work.candidates
    sizes = [work.obs + work.act, *[work.hidden] * work.layers, work.obs]

    def numbers(*shape: int) -> Tensor:
        return torch.full(shape, 0.1, dtype=dtype, device=work.device)

    values = [numbers(work.particles, n, rows) for n in sizes]
    weights = [numbers(work.particles, m, n) for n, m in pairwise(sizes)]

    def multiply() -> None:
        for _ in range(work.iterations * work.horizon):
            for i, weight in enumerate(weights):
                torch.bmm(weight, values[i], out=values[i + 1])
        if work.device.startswith("cuda"):
            torch.cuda.synchronize(work.device)

    return multiply
