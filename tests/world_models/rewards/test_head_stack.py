"""Heads side by side give what each gives alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from world_models.layout import Layout
from world_models.rewards.head import Head, Labels
from world_models.rewards.heads import RewardHeads
from world_models.rewards.quantities import Quantities
from world_models.rewards.residual import fit_residual
from world_models.transitions import Transitions


@pytest.fixture(scope="module")
def heads(layout: Layout, train: Transitions) -> RewardHeads:
    """Three heads: a plain one, one with networks, one of another number of atoms."""
    found, some = RewardHeads(layout), train[slice(0, 600)]
    for number, column in enumerate((3, 4, 0)):
        gap = (some.next_obs[:, column] - 0.02).abs()
        rewards = -3 * gap if number else (gap < 0.02).float() - gap - some.next_obs[:, 10:13].norm(dim=1)
        found.add(str(number), Labels(some.obs, some.actions, some.next_obs, rewards, gap < 0.02))
    x, y = torch.randn(300, len(Quantities.of(layout))), torch.randn(300)
    found.heads["1"] = replace(
        found.heads["1"],
        residual=fit_residual(x, y, 0),
        success_net=fit_residual(x, (y > 0).float(), 0, binary=True),
    )
    return found


def alone(heads: RewardHeads, k: int) -> RewardHeads:
    return heads.select([list(heads.heads)[k]])


@pytest.mark.parametrize("tasks", [[0, 1, 2, 1], [2, 2, 0, 0], [0, 0, 0, 0]])
def test_each_pair_is_judged_by_its_own_head(
    heads: RewardHeads, train: Transitions, tasks: list[int]
) -> None:
    obs, action, after = (x[:120].view(2, 5, 3, 4, -1) for x in (train.obs, train.actions, train.next_obs))
    rows = torch.tensor([0, 0, 1, 2])
    pairs = heads.pairs(rows, torch.tensor(tasks))
    rewards, chances = pairs.reward(obs, action, after), pairs.success(after)
    assert rewards.shape == chances.shape == (2, 5, 4, 4)
    for s, (row, k) in enumerate(zip(rows.tolist(), tasks, strict=True)):
        of_row = [x[:, :, row] for x in (obs, action, after)]
        torch.testing.assert_close(
            rewards[:, :, s], alone(heads, k).reward(*of_row)[..., 0], atol=1e-5, rtol=1e-5
        )
        torch.testing.assert_close(
            chances[:, :, s], alone(heads, k).success(of_row[2])[..., 0], atol=1e-5, rtol=1e-5
        )


def test_a_head_that_is_replaced_counts_at_once(heads: RewardHeads, train: Transitions) -> None:
    mine = RewardHeads(heads.layout, heads.heads)
    obs, action = train.obs[:8].view(1, 1, 8, -1), train.actions[:8].view(1, 1, 8, -1)
    pair = torch.tensor([0]), torch.tensor([0])
    before = mine.pairs(*pair).reward(obs, action, obs)
    mine.heads["0"] = _shifted(mine.heads["0"])
    torch.testing.assert_close(mine.pairs(*pair).reward(obs, action, obs), before + 1.0)


def _shifted(head: Head) -> Head:
    weights = head.weights.clone()
    weights[-1] += 1.0
    return replace(head, weights=weights)
