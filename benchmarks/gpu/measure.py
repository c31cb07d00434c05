"""The parts of the measurement; each works on the CPU too, so that it can be tested where there is no GPU."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Any

import torch

from mbtransfer.speed.fit import measure_fit
from mbtransfer.speed.planner import measure_planner
from mbtransfer.speed.workload import Decisions, KitchenDecisions, Work
from planners.base import Bounds
from planners.registry import make_planner
from world_models.dynamics.rollout import Imagination

TOLERANCE = {"float32": 1e-4, "bfloat16": 5e-2}
"""Largest difference between the returns of the same plans on both devices, as a share of their spread."""

FORMATS: dict[str, dict[str, Any]] = {
    "float32": {"precision": "float32"},
    "TF32": {"precision": "float32"},
    "bfloat16": {"precision": "bfloat16"},
    "bfloat16, compiled": {"precision": "bfloat16", "compile": True},
    "float32, compiled": {"precision": "float32", "compile": True},
}

BATCHES = (64, 4096)
"""Episodes that are decided at once."""


def returns(work: Work, plans: torch.Tensor) -> torch.Tensor:
    """The returns of plans from one state in the network of the work."""
    imagination = Imagination(work.dynamics(), work.particles, precision=work.precision)
    start = torch.ones(1, work.obs).expand(len(plans), -1).to(work.device)
    # Every particle its own member, so that both devices follow the same ones.
    path = imagination(start, plans.to(work.device)).obs
    return -path[1:].square().mean(dim=-1).sum(dim=0).mean(dim=0).float().cpu()


def correctness(work: Work, count: int = 200) -> list[dict[str, Any]]:
    """How far the returns of random plans differ from those on the CPU, in each format."""
    plans = torch.rand(count, work.horizon, work.act, generator=torch.Generator().manual_seed(0)) * 2 - 1
    truth = returns(replace(work, device="cpu", precision="float32"), plans)
    rows = []
    for precision, tolerance in TOLERANCE.items():
        found = returns(replace(work, precision=precision), plans)  # type: ignore[arg-type]
        apart = float((found - truth).abs().max() / truth.std())
        rows.append(
            {"format": precision, "difference": apart, "tolerance": tolerance, "good": apart <= tolerance}
        )
    return rows


def search_finds(device: str) -> bool:
    """Whether CEM finds the best plan of a problem whose answer is known: all actions at 0.5."""
    box = torch.ones(2, device=device)
    planner = make_planner("cem", Bounds(-box, box), {"horizon": 5, "candidates": 256, "iterations": 8})
    start = torch.zeros(1, 5, 2, device=device)

    class Near:
        """The objective."""

        def __call__(self, candidates: torch.Tensor) -> torch.Tensor:
            return -(candidates - 0.5).square().sum(dim=(-1, -2))

    plan = planner.plan(Near(), start, torch.Generator(device).manual_seed(0))  # type: ignore[arg-type]
    return bool((plan.actions - 0.5).abs().max() < 0.1)


def decisions(work: Work, seconds: float) -> list[dict[str, Any]]:
    """Time of one decision of the standard work in each format."""
    return [
        each(partial(decision, work, name, settings, seconds), format=name)
        for name, settings in FORMATS.items()
    ]


def decision(work: Work, name: str, settings: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Time of one decision in one format."""
    torch.set_float32_matmul_precision("high" if name == "TF32" else "highest")
    try:
        found = measure_planner(replace(work, **settings), seconds)
    finally:
        torch.set_float32_matmul_precision("highest")
    keep = ("decision_ms", "warm_up_ms", "model_steps_per_second", "fraction_of_limit", "peak_memory_mb")
    return {key: found[key] for key in keep}


def batches(device: str, seconds: float, sizes: tuple[int, ...] = BATCHES) -> list[dict[str, Any]]:
    """Time of one decision of the kitchen for many episodes at once."""

    def one(size: int) -> dict[str, Any]:
        decide = KitchenDecisions(size, 1, device=device)
        return {"decision_ms": _median_ms(decide, seconds)}

    return [each(partial(one, size), episodes=size) for size in sizes]


def streams(work: Work, seconds: float) -> dict[str, Any]:
    """Decisions per second of one agent, and of two that take turns on streams of their own."""
    agents = [Decisions(work), Decisions(work)]
    alone = 1e3 / _median_ms(agents[0], seconds)
    if not work.device.startswith("cuda"):
        return {"one": alone, "two": None}
    lanes = [torch.cuda.Stream() for _ in agents]

    def both() -> None:
        for agent, lane in zip(agents, lanes, strict=True):
            with torch.cuda.stream(lane):
                agent()
        torch.cuda.synchronize()

    return {"one": alone, "two": 2e3 / _median_ms(both, seconds)}


def training(device: str, seconds: float) -> dict[str, Any]:
    """Speed of fitting the standard network, and a wide one."""
    return {
        "standard": each(lambda: measure_fit(device=device, seconds=seconds)),
        "wide": each(lambda: measure_fit(hidden=512, batch=1024, device=device, seconds=seconds)),
    }


def each(work: Callable[[], dict[str, Any]], **about: Any) -> dict[str, Any]:
    """A part's figures, or why there are none: one that fails must not cost the others."""
    try:
        return about | work()
    except Exception as error:
        return about | {"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}


def _median_ms(work: Callable[[], object], seconds: float) -> float:
    for _ in range(3):
        work()
    times, begin = list[float](), perf_counter()
    while len(times) < 5 or perf_counter() - begin < seconds:
        start = perf_counter()
        work()
        times.append(perf_counter() - start)
    return 1e3 * sorted(times)[len(times) // 2]
