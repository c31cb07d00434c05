from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mbtransfer.collection.planning_policy import HELD, Chain
from mbtransfer.mpc.task_reward import TrueRewards
from tasks.registry import make
from tasks.task import Task

KITCHEN = make("kitchen")
TASKS = tuple(KITCHEN.task(name) for name in ("drawer_open", "light_on", "tap_open"))


def placed(*tasks: Task) -> Tensor:
    """One observation in which these tasks are done and no others."""
    obs = torch.zeros(1, KITCHEN.spec.obs_size)
    for task in TASKS:
        (fixture,) = task.fixtures
        to = float(task.to)  # type: ignore[attr-defined]
        obs[0, fixture.position] = to if task in tasks else fixture.low + fixture.high - to
    return obs


def test_the_next_task_begins_once_one_is_held() -> None:
    chain = Chain(TrueRewards(TASKS), 3, np.array([0]), np.random.default_rng(0))
    done = placed(TASKS[0])
    for _ in range(HELD - 1):
        assert not chain.advance(done).any()
    assert chain.advance(done).all() and chain.now[0] in (1, 2)
    assert not chain.advance(done).any()


def test_a_task_that_slips_away_begins_anew_and_the_last_one_is_kept() -> None:
    chain = Chain(TrueRewards(TASKS), 3, np.array([1]), np.random.default_rng(0))
    for turn in range(3 * HELD):
        assert not chain.advance(placed(TASKS[1]) if turn % 2 else placed()).any()
    for _ in range(3 * HELD):
        assert not chain.advance(placed(*TASKS)).any()
    assert chain.now[0] == 1


def test_episodes_are_rewarded_for_their_own_task() -> None:
    chain = Chain(TrueRewards(TASKS), 3, np.array([2, 0]), np.random.default_rng(0))
    obs, action = placed(TASKS[0]).expand(2, -1), torch.zeros(2, KITCHEN.spec.action_size)
    expected = [TASKS[k].reward(obs[:1], action[:1], obs[:1])[0] for k in (2, 0)]
    torch.testing.assert_close(chain.goal()(obs, action, obs), torch.stack(expected))
