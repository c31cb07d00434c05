"""Plans that somebody else suggests: a policy's roll-outs, or the elites of the last decision."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from planners.base import Objective, Plan

Search = Callable[..., Plan]


def value(objective: Objective, actions: Tensor) -> Tensor:
    return objective(actions[:, None])[:, 0]


@pytest.fixture
def proposals(target: Tensor) -> Tensor:
    """The best plan, and a bad one."""
    return torch.stack([torch.zeros_like(target), target], dim=1)


def test_the_best_plan_is_taken_where_it_is_proposed(
    name: str, search: Search, quadratic: Objective, target: Tensor, proposals: Tensor
) -> None:
    settings = {"ess": 0.0, "temperature": 1e-3} if name == "mppi" else {}
    plan, alone = (search(quadratic, proposals=p, **settings) for p in (proposals, None))
    assert torch.equal(plan.best_return, torch.zeros(3))
    if name == "cem":  # one of eight elites: it draws the mean towards itself
        assert bool((value(quadratic, plan.actions) > value(quadratic, alone.actions)).all())
    else:
        torch.testing.assert_close(plan.actions, target)


@pytest.fixture
def sizes(search: Search, quadratic: Objective) -> Callable[..., list[int]]:
    """How many candidates each iteration of a decision scores."""

    def count(proposals: Tensor | None = None) -> list[int]:
        seen: list[int] = []

        def watched(candidates: Tensor) -> Tensor:
            seen.append(candidates.shape[1])
            return quadratic(candidates)

        search(watched, proposals=proposals)
        return seen

    return count


def test_it_scores_as_many_as_its_settings_say(name: str, sizes: Callable[..., list[int]]) -> None:
    expected = {
        "mppi": [64],
        "cem": [48] * 3,
        "icem": [48 + 1, 38 + 4, 31 + 4, 1],  # the start plan; kept elites; the mean
        "gradient": [16] * 10,
        "hybrid": [64 + 1] * 3 + [4 + 1] * 5,  # the start plan; four elites and the mean
        "random_shooting": [192],
    }
    assert sizes() == expected[name]


def test_proposals_are_scored_besides_the_candidates(
    name: str, sizes: Callable[..., list[int]], proposals: Tensor
) -> None:
    more = [a - b for a, b in zip(sizes(proposals), sizes(), strict=True)]
    assert more[0] == 2
    if name in ("mppi", "cem"):  # in every iteration, as they keep no elites
        assert set(more) == {2}
    if name == "icem":
        assert not any(more[1:])


def test_none_and_no_proposals_are_the_same(search: Search, quadratic: Objective, proposals: Tensor) -> None:
    assert torch.equal(search(quadratic, proposals=proposals[:, :0]).actions, search(quadratic).actions)


def test_bad_proposals_do_no_harm(name: str, search: Search, quadratic: Objective, proposals: Tensor) -> None:
    plan, alone = (search(quadratic, proposals=p) for p in (proposals[:, :1], None))
    assert bool((plan.best_return >= alone.best_return - (0.5 if name != "random_shooting" else 0)).all())


def test_elites_are_handed_to_the_next_decision(name: str, search: Search, quadratic: Objective) -> None:
    first = search(quadratic)
    if name not in ("cem", "icem", "hybrid"):
        assert first.elites is None
        return
    assert first.elites is not None
    assert first.elites.shape == (3, {"icem": 4, "cem": 5, "hybrid": 8}[name], 8, 2)
    scores = quadratic(first.elites)
    assert bool((scores.diff(dim=1) <= 0).all()), "best first"
    again = search(quadratic, first.actions, seed=1, proposals=first.elites)
    assert bool((again.best_return >= scores[:, 0]).all())
