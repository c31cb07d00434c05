"""Planners that climb: what they need of the objective, and what bad gradients must not do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from planners.base import Bounds, Objective, Plan
from planners.errors import PlannerError
from planners.registry import make_planner

Search = Callable[..., Plan]
weight = torch.ones((), requires_grad=True)

REFUSED: dict[str, Objective] = {
    "numbers of a simulator": lambda plans: torch.from_numpy(plans.detach().numpy().sum(axis=(-2, -1))),
    "a model that cuts the graph": lambda plans: weight * plans.detach().sum(dim=(-2, -1)),
}


@pytest.fixture(params=["gradient", "hybrid"])
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("objective", REFUSED.values(), ids=REFUSED)
def test_an_objective_without_gradients_is_refused(search: Search, objective: Objective) -> None:
    with pytest.raises(PlannerError, match="needs a differentiable objective") as caught:
        search(objective)
    assert "\n" not in str(caught.value)


def test_parameters_of_the_objective_gather_no_gradients(search: Search, quadratic: Objective) -> None:
    search(lambda plans: weight * quadratic(plans))
    assert weight.grad is None


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_bad_gradients_stay_where_they_are(bounds: Bounds, quadratic: Objective, bad: float) -> None:
    """Proposals whose gradients are not finite change nothing for the others."""

    class Bad(torch.autograd.Function):
        @staticmethod
        def forward(ctx: object, plans: Tensor) -> Tensor:
            return plans.clone()

        @staticmethod
        def backward(ctx: object, gradient: Tensor) -> Tensor:
            gradient = gradient.clone()
            gradient[:, -2:] = bad
            return gradient

    planner = make_planner("gradient", bounds, {"horizon": 8})

    def search(objective: Objective) -> Plan:
        low = bounds.low.expand(3, 2, 8, 2)  # far from any target: they do not win by standing still
        start = bounds.middle.expand(3, 8, 2)
        return planner.plan(objective, start, torch.Generator().manual_seed(0), proposals=low)

    plan, spoilt = search(quadratic), search(lambda plans: quadratic(Bad.apply(plans)))
    assert torch.equal(plan.actions, spoilt.actions)
    assert spoilt.n_nonfinite == 0


def test_who_climbs_off_the_cliff_does_not_win(search: Search) -> None:
    """All plans end where the return is no number: the best seen before that is returned."""

    def cliff(plans: Tensor) -> Tensor:
        height = plans.mean(dim=(-2, -1))
        return torch.where(height > 1.2, torch.nan, height)

    plan = search(cliff)
    assert plan.n_nonfinite > 0
    assert bool((plan.best_return <= 1.2).all() and (plan.best_return > 0.9).all())
    torch.testing.assert_close(plan.actions.mean(dim=(-2, -1)), plan.best_return)


def test_steps_refine_what_was_sampled(bounds: Bounds, quadratic: Objective) -> None:
    start, plans = bounds.middle.expand(3, 8, 2), []
    for refinements in (1, 20):
        planner = make_planner("hybrid", bounds, {"horizon": 8, "refinements": refinements})
        plans.append(planner.plan(quadratic, start, torch.Generator().manual_seed(0)))
    assert bool((plans[1].best_return > 0.1 * plans[0].best_return).all())
