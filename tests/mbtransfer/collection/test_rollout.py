"""Episodes in lock step: where they start, what they hold, and how one that diverges ends."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from mbtransfer.collection.policies import Noise
from mbtransfer.collection.rollout import run_lockstep
from tasks.errors import TaskError
from tasks.registry import make
from tasks.task import Task
from tasks.task_starts import fresh_states
from tests.mbtransfer.pushed_point import Pushed

KITCHEN = make("kitchen")


def test_fresh_starts_leave_the_task_undone() -> None:
    scene, task = KITCHEN.make_scene(()), KITCHEN.task("drawer_open")
    states = fresh_states(scene, task, np.random.default_rng(0), 50)
    assert states.shape == (50, scene.state_size)
    assert bool(task.is_valid_start(torch.from_numpy(scene.observe(states))).all())
    assert np.array_equal(states, fresh_states(scene, task, np.random.default_rng(0), 50))


class Always(Task):
    def success(self, obs: Tensor) -> Tensor:
        return torch.ones(obs.shape[:-1], dtype=torch.bool)


def test_a_task_that_is_always_done_has_no_start() -> None:
    with pytest.raises(TaskError, match="'easy': no start found"):
        fresh_states(KITCHEN.make_scene(()), Always("easy", "", "user"), np.random.default_rng(0), 2, tries=3)


def test_episodes_in_lock_step_are_those_of_the_simulator() -> None:
    scene, rng = KITCHEN.make_scene(()), np.random.default_rng(0)
    states = scene.sample_states(rng, 3)
    episodes = run_lockstep(scene, Noise(scene.spec, 3, rng), states, 5, tag="noise", seed=7)
    assert [len(e) for e in episodes] == [5, 5, 5]
    for episode, state in zip(episodes, states, strict=True):
        assert np.array_equal(episode.state[0], state)
        assert np.array_equal(episode.state[1:], scene.rollout(state[None], episode.actions[None])[0])
        assert np.array_equal(episode.obs, scene.observe(episode.state))
        assert (episode.behaviour, episode.seed, episode.terminated, episode.truncated) == (
            "noise",
            7,
            False,
            True,
        )


class Exploding(Pushed):
    """Its second episode diverges after two steps."""

    def rollout(self, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
        after = super().rollout(states, actions)
        after[1] = np.where(after[1, :, 1:2] > 2.5, np.nan, after[1])
        return after


class Ones:
    def act(self, obs: np.ndarray, state: np.ndarray) -> np.ndarray:
        return np.ones((len(obs), 2))


def test_an_episode_that_diverges_ends_before_and_is_marked() -> None:
    long, short = run_lockstep(Exploding(), Ones(), np.zeros((2, 3)), 5, tag="x", seed=0)
    assert (len(long), long.terminated, long.truncated, long.diverged) == (5, False, True, False)
    assert (len(short), short.terminated, short.truncated, short.diverged) == (2, False, True, True)
    assert np.isfinite(short.state).all() and np.isfinite(short.obs).all()
