"""What every planner owes, whichever it is."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import Tensor

from planners.base import Bounds, Objective, Plan
from planners.errors import PlannerError
from planners.noise import coloured_noise
from planners.registry import PLANNERS, make_planner

STEPS = 8


def search(
    name: str,
    bounds: Bounds,
    objective: Objective,
    start: Tensor | None = None,
    seed: int = 0,
    **settings: float,
) -> Plan:
    planner = make_planner(name, bounds, {"horizon": STEPS, **settings})
    start = bounds.middle.expand(3, STEPS, 2) if start is None else start
    return planner.plan(objective, start, torch.Generator().manual_seed(seed))


def value(objective: Objective, actions: Tensor) -> Tensor:
    return objective(actions[:, None])[:, 0]


def test_it_finds_the_top_of_a_hill(name: str, bounds: Bounds, quadratic: Objective) -> None:
    middle = bounds.middle.expand(3, STEPS, 2)
    random = name == "random_shooting"
    effort = {"candidates": 4000} if random else {"candidates": 300, "iterations": 12}
    plan = search(name, bounds, quadratic, **effort)
    assert plan.actions.shape == plan.std.shape == middle.shape
    assert plan.best_return.shape == (3,) and plan.n_nonfinite == 0
    # Share of the way from the middle to the top that is left.
    left = value(quadratic, plan.actions).mean() / value(quadratic, middle).mean()
    assert float(left) < {"random_shooting": 0.7, "mppi": 0.15}.get(name, 0.02)


def test_more_search_is_no_worse(name: str, bounds: Bounds, quadratic: Objective) -> None:
    few, many = (search(name, bounds, quadratic, candidates=n).best_return.mean() for n in (16, 512))
    assert many > few


def test_a_warm_start_is_built_upon(name: str, bounds: Bounds, quadratic: Objective, target: Tensor) -> None:
    cold = search(name, bounds, quadratic, candidates=32)
    warm = search(name, bounds, quadratic, start=target, candidates=32)
    assert bool((warm.best_return > cold.best_return).all())
    if name in ("icem", "random_shooting", "mppi"):  # these try the start plan itself
        assert torch.equal(warm.best_return, torch.zeros(3))
    if name in ("icem", "random_shooting"):  # and return the best that they saw
        assert torch.equal(warm.actions, target)


def test_a_seed_gives_the_same_plan(name: str, bounds: Bounds, quadratic: Objective) -> None:
    first, second = search(name, bounds, quadratic), search(name, bounds, quadratic)
    other = search(name, bounds, quadratic, seed=1)
    for field in ("actions", "std", "best_return"):
        assert torch.equal(getattr(first, field), getattr(second, field))
    assert not torch.equal(first.actions, other.actions)


def test_the_global_generator_is_left_alone(name: str, bounds: Bounds, quadratic: Objective) -> None:
    before = torch.random.get_rng_state()
    search(name, bounds, quadratic)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_every_candidate_and_the_plan_keep_the_bounds(name: str, bounds: Bounds) -> None:
    seen: list[Tensor] = []

    def outward(candidates: Tensor) -> Tensor:
        seen.append(candidates)
        return candidates.sum(dim=(-2, -1))

    plan = search(name, bounds, outward, std=3.0)
    for actions in [*seen, plan.actions]:
        assert bool((actions >= bounds.low - 1e-6).all() and (actions <= bounds.high + 1e-6).all())
    assert float(plan.actions.mean(dim=(0, 1))[1]) > 2.0


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_what_is_no_number_never_wins(name: str, bounds: Bounds, quadratic: Objective, bad: float) -> None:
    """Where the first action goes up the return is not finite, and the reward would call for just that."""

    def trapped(candidates: Tensor) -> Tensor:
        returns = quadratic(candidates) + 10 * candidates[..., 0, 0]
        return torch.where(candidates[..., 0, 0] > 0.1, torch.full_like(returns, bad), returns)

    start = bounds.middle.expand(3, STEPS, 2).clone()
    start[:, 0, 0] = -0.5
    plan = search(name, bounds, trapped, start)
    assert plan.n_nonfinite > 0
    assert bool(torch.isfinite(plan.best_return).all() and torch.isfinite(plan.actions).all())
    assert float(plan.actions[:, 0, 0].max()) <= 0.1


def test_a_few_good_candidates_are_enough(name: str, bounds: Bounds, quadratic: Objective) -> None:
    """Fewer finite returns than elites: the others must not be averaged into the plan."""
    kept: list[Tensor] = []

    def almost_blind(candidates: Tensor) -> Tensor:
        returns = torch.full_like(quadratic(candidates), torch.nan)
        returns[:, 0] = quadratic(candidates)[:, 0]
        kept.append(candidates[:, 0])
        return returns

    settings = {} if name == "random_shooting" else {"iterations": 1}
    if name in ("cem", "icem"):
        settings["momentum"] = 0
    plan = search(name, bounds, almost_blind, **settings)
    torch.testing.assert_close(plan.actions, kept[0])
    assert bool(torch.isfinite(plan.std).all())


def test_if_nothing_is_a_number_it_says_so(name: str, bounds: Bounds, quadratic: Objective) -> None:
    def one_episode_lost(candidates: Tensor) -> Tensor:
        returns = quadratic(candidates)
        returns[1] = torch.nan
        return returns

    with pytest.raises(PlannerError, match="every candidate plan has a non-finite return") as caught:
        search(name, bounds, one_episode_lost)
    assert "\n" not in str(caught.value)


def test_episodes_are_planned_apart(name: str, bounds: Bounds, quadratic: Objective) -> None:
    """What one episode is after changes nothing for the others."""

    def other(candidates: Tensor) -> Tensor:
        returns = quadratic(candidates)
        returns[2] = 100 * candidates[2].sum(dim=(-2, -1))
        return returns

    plan, changed = search(name, bounds, quadratic), search(name, bounds, other)
    assert torch.equal(plan.actions[:2], changed.actions[:2])
    assert not torch.equal(plan.actions[2], changed.actions[2])


def test_the_order_of_candidates_does_not_matter(
    name: str, bounds: Bounds, quadratic: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = search(name, bounds, quadratic)

    def shuffled(shape: tuple[int, ...], beta: float, generator: torch.Generator) -> Tensor:
        noise = coloured_noise(shape, beta, generator)
        order = [0, *range(shape[-3] - 1, 0, -1)]  # MPPI gives its first place to the mean
        return noise[..., order, :, :]

    monkeypatch.setattr(sys.modules[PLANNERS[name][0].__module__], "coloured_noise", shuffled)
    again = search(name, bounds, quadratic)
    torch.testing.assert_close(again.actions, plan.actions, rtol=1e-3, atol=1e-4)


def test_a_horizon_of_one_step_works(name: str, bounds: Bounds) -> None:
    planner = make_planner(name, bounds, {"horizon": 1})
    start = bounds.middle.expand(2, 1, 2)
    plan = planner.plan(
        lambda plans: -plans.square().sum(dim=(-2, -1)), start, torch.Generator().manual_seed(0)
    )
    assert plan.actions.shape == (2, 1, 2)
    assert bool(torch.isfinite(plan.actions).all())


def test_a_plan_is_shifted_and_its_end_held() -> None:
    actions = torch.arange(6.0).reshape(1, 3, 2)
    plan = Plan(actions, torch.zeros(1, 3, 2), torch.zeros(1), 0)
    assert plan.shifted().tolist() == [[[2, 3], [4, 5], [4, 5]]]
    assert plan.shifted(2).tolist() == [[[4, 5], [4, 5], [4, 5]]]
