"""What every planner owes, whichever it is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from planners.base import Bounds, Objective, Plan, Planner
from planners.errors import PlannerError
from planners.registry import make_planner

Search = Callable[..., Plan]
STEPS = 8


def value(objective: Objective, actions: Tensor) -> Tensor:
    return objective(actions[:, None])[:, 0]


def test_it_finds_the_top_of_a_hill(
    name: str, bounds: Bounds, search: Search, quadratic: Objective, effort: dict[str, float]
) -> None:
    middle = bounds.middle.expand(3, STEPS, 2)
    plan = search(quadratic, **effort)
    assert plan.actions.shape == plan.std.shape == middle.shape
    assert plan.best_return.shape == (3,) and plan.n_nonfinite == 0 and not plan.cut
    # Share of the way from the middle to the top that is left.
    left = value(quadratic, plan.actions).mean() / value(quadratic, middle).mean()
    assert float(left) < {"random_shooting": 0.7, "mppi": 0.15}.get(name, 0.02)


def test_it_is_a_planner(name: str, bounds: Bounds) -> None:
    assert isinstance(make_planner(name, bounds), Planner)


def test_more_search_is_no_worse(name: str, search: Search, quadratic: Objective) -> None:
    rounds = {} if name == "random_shooting" else {"iterations": 2}
    few, many = (search(quadratic, candidates=n, **rounds).best_return.mean() for n in (16, 512))
    assert many > few


def test_a_warm_start_is_built_upon(name: str, search: Search, quadratic: Objective, target: Tensor) -> None:
    cold = search(quadratic, candidates=32)
    warm = search(quadratic, start=target, candidates=32)
    assert bool((warm.best_return > cold.best_return).all())
    if name != "cem":  # the others try the start plan itself
        assert torch.equal(warm.best_return, torch.zeros(3))
    if name not in ("cem", "mppi"):  # and return the best that they saw
        assert torch.equal(warm.actions, target)


def test_a_seed_gives_the_same_plan(search: Search, quadratic: Objective, target: Tensor) -> None:
    def rough(candidates: Tensor) -> Tensor:
        """Of many tops, so that no two searches end on the same one."""
        return quadratic(candidates) + torch.sin(20 * (candidates - target[:, None])).sum(dim=(-2, -1))

    first, second, other = search(rough), search(rough), search(rough, seed=1)
    for field in ("actions", "std", "best_return"):
        assert torch.equal(getattr(first, field), getattr(second, field))
    assert not torch.equal(first.actions, other.actions)


def test_the_global_generator_is_left_alone(search: Search, quadratic: Objective) -> None:
    before = torch.random.get_rng_state()
    search(quadratic)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("knots", [0, 3])
def test_every_candidate_and_the_plan_keep_the_bounds(search: Search, bounds: Bounds, knots: int) -> None:
    seen: list[Tensor] = []

    def outward(candidates: Tensor) -> Tensor:
        seen.append(candidates)
        return candidates.sum(dim=(-2, -1))

    plan = search(outward, std=3.0, knots=knots, proposals=torch.full((3, 1, STEPS, 2), -9.0))
    for actions in [*seen, plan.actions]:
        assert bool((actions >= bounds.low - 1e-6).all() and (actions <= bounds.high + 1e-6).all())
    assert float(plan.actions.mean(dim=(0, 1))[1]) > 2.0


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_what_is_no_number_never_wins(
    search: Search, bounds: Bounds, quadratic: Objective, bad: float
) -> None:
    """Where the first action goes up the return is not finite, and the reward would call for just that."""

    def trapped(candidates: Tensor) -> Tensor:
        returns = quadratic(candidates) + 10 * candidates[..., 0, 0]
        return torch.where(candidates[..., 0, 0] > 0.1, torch.full_like(returns, bad), returns)

    start = bounds.middle.expand(3, STEPS, 2).clone()
    start[:, 0, 0] = -0.5
    plan = search(trapped, start)
    assert plan.n_nonfinite > 0
    assert bool(torch.isfinite(plan.best_return).all() and torch.isfinite(plan.actions).all())
    assert float(plan.actions[:, 0, 0].max()) <= 0.1


def test_a_few_good_candidates_are_enough(name: str, search: Search, quadratic: Objective) -> None:
    """Fewer finite returns than elites: the others must not be averaged into the plan."""
    kept: list[Tensor] = []

    def almost_blind(candidates: Tensor) -> Tensor:
        returns = torch.full_like(quadratic(candidates), torch.nan)
        returns[:, 0] = quadratic(candidates)[:, 0]
        kept.append(candidates[:, 0].detach())
        return returns

    settings = {} if name == "random_shooting" else {"iterations": 1}
    if name in ("cem", "icem", "hybrid"):
        settings["momentum"] = 0
    if name == "hybrid":
        settings["refinements"] = 1
    plan = search(almost_blind, **settings)
    torch.testing.assert_close(plan.actions, kept[0])
    assert bool(torch.isfinite(plan.std).all())


def test_if_nothing_is_a_number_it_says_so(search: Search, quadratic: Objective) -> None:
    seen: list[Tensor] = []

    def one_episode_lost(candidates: Tensor) -> Tensor:
        seen.append(candidates)
        lost = torch.tensor([False, True, False])[:, None]
        return torch.where(lost, torch.nan, quadratic(candidates))

    with pytest.raises(PlannerError, match="every candidate plan has a non-finite return") as caught:
        search(one_episode_lost)
    assert "\n" not in str(caught.value)
    assert all(bool(torch.isfinite(candidates).all()) for candidates in seen)


def test_episodes_are_planned_apart(search: Search, quadratic: Objective) -> None:
    """What one episode is after changes nothing for the others."""

    def other(candidates: Tensor) -> Tensor:
        upward = torch.tensor([False, False, True])[:, None]
        return torch.where(upward, 100 * candidates.sum(dim=(-2, -1)), quadratic(candidates))

    plan, changed = search(quadratic), search(other)
    assert torch.equal(plan.actions[:2], changed.actions[:2])
    assert not torch.equal(plan.actions[2], changed.actions[2])


@pytest.mark.parametrize("horizon", [1, 6])
def test_one_candidate_and_one_knot_are_enough(name: str, bounds: Bounds, horizon: int) -> None:
    sampled = name in ("cem", "icem", "hybrid")
    few = {"candidates": 8} if sampled else {"candidates": 1}
    planner = make_planner(name, bounds, {"horizon": horizon, "knots": 1, **few})
    start = bounds.middle.expand(2, horizon, 2)
    plan = planner.plan(
        lambda plans: -plans.square().sum(dim=(-2, -1)), start, torch.Generator().manual_seed(0)
    )
    assert plan.actions.shape == (2, horizon, 2)
    assert bool(torch.isfinite(plan.actions).all())
    without = make_planner(name, bounds, {"horizon": horizon, **few})
    assert bool(
        torch.isfinite(
            without.plan(
                lambda plans: -plans.square().sum(dim=(-2, -1)), start, torch.Generator().manual_seed(0)
            ).actions
        ).all()
    )


def test_a_plan_and_its_elites_are_shifted_and_their_ends_held() -> None:
    actions = torch.arange(6.0).reshape(1, 3, 2)
    plan = Plan(actions, torch.zeros(1, 3, 2), torch.zeros(1), 0, elites=torch.stack([actions, -actions], 1))
    assert plan.shifted().tolist() == [[[2, 3], [4, 5], [4, 5]]]
    assert plan.shifted(2).tolist() == [[[4, 5], [4, 5], [4, 5]]]
    assert plan.shifted(5).tolist() == plan.shifted(2).tolist()
    elites = plan.shifted_elites()
    assert elites is not None
    assert torch.equal(elites[:, 0], plan.shifted()) and torch.equal(elites[:, 1], -plan.shifted())
    assert Plan(actions, plan.std, plan.best_return, 0).shifted_elites() is None
