"""The books of a decision: nothing is read from the device before the plan is settled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from planners.base import Objective, Plan
from planners.errors import PlannerError
from planners.search import SearchState

Search = Callable[..., Plan]
WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "unique", "bincount")


class StepCallback(TorchDispatchMode):
    """Refuses the operators that wait for the device, and counts the others."""

    calls = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls += 1
        assert func.overloadpacket.__name__ not in WAITS, f"{func} waits for the device"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("knots", [0, 4])
def test_no_planner_waits_for_the_device(search: Search, quadratic: Objective, knots: int) -> None:
    search(quadratic, knots=knots)  # what is computed once is computed
    with StepCallback() as watch:
        search(quadratic, knots=knots, proposals=torch.zeros(3, 2, 8, 2))
    assert watch.calls > 10


def test_the_watch_sees_what_waits() -> None:
    with StepCallback(), pytest.raises(AssertionError, match="waits for the device"):
        bool(torch.ones(1).sum() > 0)


def returns(*scores: list[float]) -> Objective:
    """One episode, whose candidates are promised these returns, iteration by iteration."""
    rows = iter(scores)
    return lambda candidates: torch.tensor([next(rows)])


def decide(*scores: list[float]) -> tuple[SearchState, Tensor]:
    plans = torch.arange(3.0)[None, :, None, None]
    decision = SearchState(returns(*scores), plans[:, 0], None)
    for i in decision.rounds(len(scores)):
        best = decision.score(plans).max(dim=1)
        decision.consider(plans[:, int(best.indices[0])] + 10 * i, best.values)
    return decision, plans[:, 0]


NAN, INF = torch.nan, torch.inf


def test_the_best_plan_of_all_iterations_is_kept() -> None:
    decision, std = decide([1.0, 5.0, NAN], [INF, 2.0, 3.0], [-INF, 4.0, 5.0])
    plan = decision.settle_on_best(std)
    assert (plan.actions.item(), plan.best_return.item()) == (1.0, 5.0)
    assert (plan.n_nonfinite, plan.iterations, plan.cut) == (3, 3, False)


def test_a_mean_needs_a_finite_return_in_every_iteration_the_best_plan_in_one() -> None:
    decision, std = decide([1.0, 5.0, 2.0], [NAN, NAN, INF])
    assert decision.settle_on_best(std).best_return.item() == 5.0
    with pytest.raises(PlannerError, match="non-finite return"):
        decision.finish(std, std)


def test_returns_of_another_precision_are_those_of_the_plans() -> None:
    start = torch.zeros(1, 1, 1)
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        scores = torch.tensor([[1.0, NAN]], dtype=dtype)
        decision = SearchState(lambda plans, scores=scores: scores, start, None)  # type: ignore[misc]
        for _ in decision.rounds(1):
            assert decision.score(torch.zeros(1, 2, 1, 1)).dtype == torch.float32
        assert decision.finish(start, start).n_nonfinite == 1
