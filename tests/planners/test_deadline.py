"""The deadline, by a clock that only the objective moves."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from planners import search as rounds
from planners.base import Objective, Plan

Search = Callable[..., Plan]


class Slow:
    """An objective whose calls take the given seconds, the last of them from then on."""

    def __init__(self, objective: Objective, *seconds: float) -> None:
        self.objective, self.seconds, self.now, self.calls = objective, seconds, 100.0, 0

    def __call__(self, candidates: Tensor) -> Tensor:
        self.now += self.seconds[min(self.calls, len(self.seconds) - 1)]
        self.calls += 1
        return self.objective(candidates)


@pytest.fixture
def timed(
    name: str, search: Search, quadratic: Objective, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Plan, Slow]]:
    """A search of up to 10 iterations that has some seconds."""

    def decide(has: float, *seconds: float) -> tuple[Plan, Slow]:
        slow = Slow(quadratic, *seconds)
        monkeypatch.setattr(rounds, "perf_counter", lambda: slow.now)
        many = {"iterations": 5, "refinements": 5} if name == "hybrid" else {"iterations": 10}
        plan = search(slow, deadline=slow.now + has, **({} if name == "random_shooting" else many))
        assert plan.iterations == slow.calls
        return plan, slow

    return decide


@pytest.mark.parametrize(
    ("has", "seconds", "done"),
    [
        (3.5, [1.0], 3),  # the fourth would end half a second late
        (3.0, [1.0], 3),  # just in time
        (-1.0, [1.0], 1),  # too late before it began
        (6.5, [3.0, 1.0], 2),  # the longest counts, not the last
        (7.5, [1.0], 7),  # of the hybrid's, two are refinements
    ],
)
def test_no_iteration_ends_after_the_deadline(
    name: str, timed: Callable[..., tuple[Plan, Slow]], has: float, seconds: list[float], done: int
) -> None:
    plan, slow = timed(has, *seconds)
    most = 1 if name == "random_shooting" else 10
    assert plan.iterations == min(done, most)
    assert plan.cut == (done < most)
    assert bool(torch.isfinite(plan.actions).all())
    if name not in ("mppi", "cem"):  # these return the best they found by then
        torch.testing.assert_close(slow.objective(plan.actions[:, None])[:, 0], plan.best_return)


def test_a_far_deadline_changes_nothing(
    name: str, timed: Callable[..., tuple[Plan, Slow]], search: Search, quadratic: Objective
) -> None:
    plan, _ = timed(1e9, 1.0)
    many = {"iterations": 5, "refinements": 5} if name == "hybrid" else {"iterations": 10}
    free = search(quadratic, **({} if name == "random_shooting" else many))
    assert torch.equal(plan.actions, free.actions) and torch.equal(plan.std, free.std)
    assert plan.iterations == free.iterations and not plan.cut and not free.cut


def test_without_a_deadline_no_clock_is_read(
    search: Search, quadratic: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read() -> float:
        raise AssertionError("the clock is read")

    monkeypatch.setattr(rounds, "perf_counter", read)
    search(quadratic)
