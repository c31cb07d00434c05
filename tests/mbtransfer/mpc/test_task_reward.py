"""What a goal is worth: guarded steps count when they are lost, learned heads in place of true rewards."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from mbtransfer.model import Model
from mbtransfer.mpc.task_reward import GUARD_WEIGHT, Rewards, TaskReward, TrueRewards
from tasks.registry import make
from tests.mbtransfer.pushed_point import Toward

KITCHEN = make("kitchen")


def test_losing_a_guarded_step_costs() -> None:
    rewards = TrueRewards([Toward("right", "", "user", 1.0), Toward("left", "", "user", -1.0)])
    assert isinstance(rewards, Rewards)
    after = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    action, active = torch.zeros(4, 2), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    guarded = torch.tensor([[0.0, 0.0], [0.0, 1.0]])
    found = TaskReward(rewards, active, guarded)(after, action, after)
    assert found.tolist() == [1.0, -1.0, 1.0 - 2 * GUARD_WEIGHT, -1.0]  # rewards range over 2
    for free in (None, torch.zeros(2, 2)):
        assert TaskReward(rewards, active, free)(after, action, after).tolist() == [1.0, -1.0, 1.0, -1.0]


def test_moving_what_shall_rest_costs_as_much_as_it_moves_and_no_more_than_losing_it() -> None:
    rewards = TrueRewards([Toward("right", "", "user", 1.0)])
    before = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    after = torch.tensor([[1.0, 0.0], [1.0, 0.05], [1.0, -0.3], [-1.0, 0.0]])
    action, active = torch.zeros(4, 2), torch.tensor([[1.0]])
    still = torch.tensor([[0.0, 10.0]])  # a tenth in one step is as bad as a loss
    found = TaskReward(rewards, active, still=still)(before, action, after)
    worst = 2 * GUARD_WEIGHT  # rewards range over 2
    torch.testing.assert_close(found, torch.tensor([1.0, 1.0 - worst / 2, 1.0 - worst, -1.0]))
    free = TaskReward(rewards, active, still=torch.zeros(1, 2))(before, action, after)
    assert free.tolist() == [1.0, 1.0, 1.0, -1.0]


def test_each_episode_has_the_reward_that_it_was_given_last() -> None:
    goal = TaskReward(TrueRewards([Toward("right", "", "user", 1.0)]), torch.ones(3, 1))
    first = goal.override(torch.tensor([True, True, False]), lambda obs: 10.0 + 0 * obs[..., 0])
    both = first.override(torch.tensor([False, True, False]), lambda obs: 20.0 + 0 * obs[..., 0])
    obs = torch.tensor([[1.0, 0.0]]).repeat(3, 1)
    assert both(obs, torch.zeros(3, 2), obs).tolist() == [10.0, 20.0, 1.0]


@pytest.mark.parametrize(("scale", "shift"), [(1e-3, 0.0), (1e3, -5.0)])
def test_guards_weigh_the_same_in_any_unit(scale: float, shift: float) -> None:
    after = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.3, 0.0]])
    action, active, guarded = torch.zeros(3, 2), torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])

    class Scaled(Toward):
        def reward(self, obs: Tensor, action: Tensor, next_obs: Tensor) -> Tensor:
            return scale * super().reward(obs, action, next_obs) + shift

    found = [
        TaskReward(
            TrueRewards([kind("right", "", "user", 1.0), Toward("left", "", "user", -1.0)]), active, guarded
        )(after, action, after)
        for kind in (Toward, Scaled)
    ]
    torch.testing.assert_close(found[1], scale * found[0] + shift)


def test_learned_heads_take_the_place_of_true_rewards(drifting: Callable[..., Model]) -> None:
    model, tasks = drifting(), [KITCHEN.task("drawer_open"), KITCHEN.task("tap_open")]
    heads = model.rewards(tasks)
    assert isinstance(heads, Rewards)
    obs, active = model.pool.obs[:500], torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    action = torch.zeros(500, 4)
    learned, true = (TaskReward(one, active)(obs, action, obs) for one in (heads, TrueRewards(tasks)))
    assert torch.corrcoef(torch.stack([learned, true]))[0, 1] > 0.95
