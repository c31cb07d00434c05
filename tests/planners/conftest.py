from __future__ import annotations

import pytest
import torch
from torch import Tensor

from planners.base import Bounds, Objective
from planners.registry import PLANNERS

STEPS, SIZE = 8, 2


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
