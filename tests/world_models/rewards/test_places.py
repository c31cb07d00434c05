"""Places found from labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from world_models.layout import Layout
from world_models.rewards.head import Labels
from world_models.rewards.heads import RewardHeads
from world_models.rewards.places import find_places
from world_models.transitions import Transitions

POINT = torch.tensor([0.1, -0.03, 0.04])

REWARDS: dict[str, Callable[[Tensor], Tensor]] = {
    "distance": lambda away: -away,
    "squared": lambda away: -away.square(),
    "nearness": lambda away: (-away / 0.1).exp(),
    "avoided": lambda away: away.clamp(max=0.3),
    "with a bonus": lambda away: (away < 0.12).float() - away,
}


def labels(data: Transitions, reward: Callable[[Tensor], Tensor]) -> Labels:
    away = (data.next_obs[:, :3] - POINT).norm(dim=1)
    return Labels(data.obs, data.actions, data.next_obs, reward(away), away < 0.12)


@pytest.mark.parametrize("kind", REWARDS)
def test_the_place_of_a_reward_is_found(layout: Layout, train: Transitions, kind: str) -> None:
    known = labels(train, REWARDS[kind])
    found = find_places(layout, known.next_obs, known.reward, known.success)
    [hand] = [place for place in found if place.body == layout.hand]
    assert hand.point == pytest.approx(POINT.tolist(), abs=0.01)


@pytest.mark.parametrize("kind", REWARDS)
def test_a_head_ranks_states_by_the_distance_to_a_place(
    layout: Layout, train: Transitions, valid: Transitions, kind: str
) -> None:
    heads, fresh = RewardHeads(layout), labels(valid, REWARDS[kind])
    heads.add(kind, labels(train[torch.arange(500)], REWARDS[kind]))
    error = heads.reward(fresh.obs, fresh.actions, fresh.next_obs)[:, 0] - fresh.reward
    assert error.square().mean() < 0.1 * fresh.reward.var()


def test_heads_of_different_places_do_their_work_together(layout: Layout, train: Transitions) -> None:
    """Each head reads the quantities of all places, and finds its own among them."""
    one = labels(train, REWARDS["distance"])
    other = replace(one, reward=-(train.next_obs[:, :3] + POINT).norm(dim=1))
    alone, both = RewardHeads(layout), RewardHeads(layout)
    alone.add("other", other)
    both.add("one", one)
    both.add("other", other)
    assert all(head.places for head in both.heads.values())
    args = train.obs, train.actions, train.next_obs
    torch.testing.assert_close(both.reward(*args)[:, 1], alone.reward(*args)[:, 0])
    torch.testing.assert_close(both.success(train.obs)[:, 1], alone.success(train.obs)[:, 0])
    rows = torch.zeros(2, dtype=torch.long)
    pairs = both.pairs(rows, torch.tensor([0, 1]))
    planned = pairs.reward(*(part[None] for part in args))
    torch.testing.assert_close(planned, both.reward(*args).T, atol=2e-4, rtol=0)
