"""Who gains nothing goes back to how it began, and tries again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mbtransfer.errors import UserError
from mbtransfer.evaluation import play_episodes
from mbtransfer.evaluation.config import EvalConfig
from mbtransfer.evaluation.recovery import BACK, WAY, StallRecovery
from mbtransfer.mpc.controller import Controller
from mbtransfer.mpc.task_reward import GUARD_WEIGHT, TaskReward, TrueRewards
from tests.mbtransfer.evaluation.tiny import KITCHEN

SPEC = KITCHEN.spec
NOT_TURNED = torch.tensor([False, False])


def at(*hands: float) -> torch.Tensor:
    """Episodes whose hands are so far along x, all else at zero."""
    obs = torch.zeros(len(hands), SPEC.obs_size)
    obs[:, SPEC.hand[0]] = torch.tensor(hands)
    return obs


def test_who_gains_nothing_turns_back_and_who_gains_goes_on() -> None:
    again = StallRecovery(SPEC, at(0.0, 0.0), patience=3)
    for step in range(8):
        anew = again.advance(torch.tensor([float(step), -1.0]), at(0.5, 0.5), NOT_TURNED)
        assert anew.tolist() == [False, step == 3]
        if step == 3:
            assert again.back.tolist() == [False, True]


@pytest.mark.parametrize(("gain", "turns"), [(0.001, True), (0.02, False)])
def test_small_gains_are_none_but_add_up(gain: float, turns: bool) -> None:
    """After a gain of 1, gains below 0.05: too small in ten steps, or enough in three."""
    again = StallRecovery(SPEC, at(0.0), patience=10)
    rewards = [-1.0, 0.0, *(gain * step for step in range(1, 20))]
    found = [bool(again.advance(torch.tensor([r]), at(0.5), torch.tensor([False]))) for r in rewards]
    assert not any(found[:11]) and any(found) == turns


def test_the_way_back_ends_at_home_or_when_its_time_is_up() -> None:
    again = StallRecovery(SPEC, at(0.0, 0.0), patience=1)
    for _ in range(2):
        again.advance(torch.zeros(2), at(0.5, 0.5), NOT_TURNED)
    assert again.back.all()
    steps = [again.advance(torch.zeros(2), at(0.0, 0.5), NOT_TURNED).tolist() for _ in range(WAY)]
    assert steps[0] == [True, False] and steps[-1][1]
    assert not again.back[1]


def test_on_the_way_back_only_home_counts_and_what_is_guarded() -> None:
    again = StallRecovery(SPEC, at(0.0, 0.0), patience=1)
    rewards = TrueRewards([KITCHEN.task("light_on"), KITCHEN.task("drawer_open")])
    goal = TaskReward(rewards, torch.tensor([[1.0, 0.0]] * 2), torch.tensor([[0.0, 1.0]] * 2))
    assert again.goal(goal) is goal
    for step in range(2):
        again.advance(torch.tensor([0.0, float(step)]), at(0.5, 0.5), NOT_TURNED)
    candidates, action = at(0.0, 0.5, 0.0, 0.5), torch.zeros(4, SPEC.action_size)
    found, plain = (one(candidates, action, candidates) for one in (again.goal(goal), goal))
    assert torch.equal(found[2:], plain[2:])
    way = float(found[0] - found[1])  # one candidate is at home, and both have lost the drawer
    assert way > 0 and float(found[0]) == pytest.approx(-GUARD_WEIGHT * way)


def test_a_new_step_is_a_new_try_and_the_rest_of_a_batch_is_kept() -> None:
    again = StallRecovery(SPEC, at(0.0, 0.0), patience=2)
    for turned in (False, False, True, False, False):
        again.advance(torch.zeros(2), at(0.5, 0.5), torch.tensor([turned, False]))
    assert again.back.tolist() == [False, True]
    again.keep(torch.tensor([False, True]))
    assert again.back.tolist() == [True]


def test_an_episode_without_a_gain_comes_back_and_says_so(
    controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the true scene: on its way to the kettle it is told that nothing is gained, and turns back."""
    task, advance = KITCHEN.task("kettle_back"), StallRecovery.advance
    monkeypatch.setattr(
        StallRecovery, "advance", lambda self, reward, *more: advance(self, torch.zeros_like(reward), *more)
    )
    hasty = replace(controller, retry_after=10)
    (played,) = play_episodes(hasty, task, seed=0, episodes=1)
    turned = played.after.index(BACK)
    there = played.after.index(task.name, turned)
    assert turned == 11 and 1 <= there - turned <= WAY
    hand = controller.scene.observe(played.states)[:, list(SPEC.hand)]
    away = np.linalg.norm(hand - hand[0], axis=1)
    assert away[there] < 0.3 * away[turned]
    never = replace(hasty, retry_after=None)
    assert BACK not in play_episodes(never, task, seed=0, episodes=1)[0].after


@pytest.mark.parametrize("patience", [0, -1])
def test_patience_is_at_least_one(patience: int) -> None:
    with pytest.raises(UserError, match="retry_after"):
        EvalConfig(dynamics="oracle", reward="true", retry_after=patience)
