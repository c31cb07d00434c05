"""What must not change a plan: the order of candidates, the unit of the reward, a bonus for all, who asks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from planners import sampling
from planners.base import Bounds, Objective, Plan
from planners.registry import make_planner
from planners.sampling import coloured_noise

Search = Callable[..., Plan]


@pytest.fixture
def exact(bounds: Bounds, search: Search) -> Search:
    """The search in double precision: what differs then differs by more than rounding."""
    within = Bounds(bounds.low.double(), bounds.high.double())
    return lambda objective, **settings: search(objective, within=within, **settings)


def test_the_order_of_candidates_does_not_matter(
    name: str, bounds: Bounds, exact: Search, quadratic: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = exact(quadratic)

    def shuffled(shape: tuple[int, ...], beta: float, generator: torch.Generator) -> Tensor:
        noise = coloured_noise(shape, beta, generator)
        # The draws of an iteration stay in it, and MPPI gives its first place to the mean.
        sizes = make_planner(name, bounds)._sizes if name == "icem" else [1, shape[-3] - 1]  # type: ignore[attr-defined]
        return torch.cat([part.flip(-3) for part in noise.split(sizes, dim=-3)], dim=-3)

    monkeypatch.setattr(sampling, "coloured_noise", shuffled)
    torch.testing.assert_close(exact(quadratic).actions, plan.actions)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_the_unit_of_the_reward_does_not_matter(
    name: str, exact: Search, quadratic: Objective, scale: float
) -> None:
    plan = exact(quadratic)
    scaled = exact(lambda candidates: scale * quadratic(candidates))
    torch.testing.assert_close(scaled.actions, plan.actions)
    torch.testing.assert_close(scaled.best_return, scale * plan.best_return)


@pytest.mark.parametrize("bonus", [-50.0, 50.0])
def test_a_bonus_for_all_does_not_matter(
    name: str, exact: Search, quadratic: Objective, bonus: float
) -> None:
    for settings in [{}, {"ess": 0.0}] if name == "mppi" else [{}]:
        plan = exact(quadratic, **settings)
        shifted = exact(lambda candidates: quadratic(candidates) + bonus, **settings)
        torch.testing.assert_close(shifted.actions, plan.actions)


def test_whether_gradients_are_recorded_does_not_matter(search: Search, quadratic: Objective) -> None:
    plan = search(quadratic)
    with torch.no_grad():
        assert torch.equal(search(quadratic).actions, plan.actions)
    assert not plan.actions.requires_grad and not plan.best_return.requires_grad
