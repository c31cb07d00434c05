from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from planners.base import Bounds, Objective, Plan
from planners.registry import PLANNERS, make_planner

STEPS, SIZE = 8, 2

Search = Callable[..., Plan]


@pytest.fixture
def bounds() -> Bounds:
    return Bounds(torch.tensor([-1.0, -2.0]), torch.tensor([1.0, 4.0]))


@pytest.fixture(params=list(PLANNERS))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def target() -> Tensor:
    """A smooth plan within the bounds for each of 3 episodes: [3, STEPS, SIZE]."""
    t = torch.linspace(0, 1, STEPS)
    plan = torch.stack([0.6 * torch.sin(3 * t), 1 + 1.5 * t], dim=-1)
    return torch.stack([plan, plan.flip(0), plan * torch.tensor([-1.0, 0.5])])


@pytest.fixture
def quadratic(target: Tensor) -> Objective:
    """Minus the squared way to the target, its best return 0."""
    return lambda candidates: -((candidates - target[:, None]) ** 2).sum(dim=(-2, -1))


@pytest.fixture
def search(name: str, bounds: Bounds) -> Search:
    """One decision of the planner `name`, from the middle of the box unless told otherwise."""

    def decide(
        objective: Objective,
        start: Tensor | None = None,
        *,
        seed: int = 0,
        within: Bounds = bounds,
        proposals: Tensor | None = None,
        deadline: float | None = None,
        **settings: float,
    ) -> Plan:
        planner = make_planner(name, within, {"horizon": STEPS, **settings})
        start = within.middle.expand(3, STEPS, SIZE) if start is None else start
        generator = torch.Generator().manual_seed(seed)
        return planner.plan(objective, start, generator, proposals=proposals, deadline=deadline)

    return decide


@pytest.fixture
def effort(name: str) -> dict[str, float]:
    """Settings with which a planner comes close to the best there is."""
    if name == "random_shooting":
        return {"candidates": 4000}
    if name == "gradient":
        return {"candidates": 16, "iterations": 60}
    more = {"refinements": 40} if name == "hybrid" else {}
    return {"candidates": 300, "iterations": 12, **more}
