"""Ours is theirs: physics, observations, rewards and success are those of Meta-World's own environments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from tasks.environment import Environment
from tasks.metaworld.columns import REPEAT
from tasks.metaworld.layouts import LAYOUTS
from tasks.metaworld.starts import begin
from tasks.registry import make
from tasks.scene import Scene

TASKS = [task for layout in LAYOUTS.values() for task in layout.tasks]
SEEN = [0, 1, 2, 3]
"""Hand and gripper are the first columns of both; then comes where the thing is."""


def scene_of(task: str) -> tuple[Environment, Scene]:
    name = next(name for name, layout in LAYOUTS.items() if task in layout.tasks)
    world = make(f"metaworld:{name}")
    return world, world.make_scene(())


def towards(seen: np.ndarray, seed: int) -> np.ndarray:
    """An action that goes to the thing and then pushes it about."""
    way = 12.0 * (seen[4:7] - seen[:3])
    drawn = np.random.default_rng(seed).normal(size=4)
    return np.clip(np.append(way, 0.0) + drawn, -1.0, 1.0).astype(np.float32)


@pytest.mark.parametrize("task", TASKS)
def test_an_episode_is_theirs(theirs: Callable[[str], Any], task: str) -> None:
    """Their solver starts from where it was; ours starts cold, so that a step is a function of the state.

    With theirs made to start cold where ours does, states are the same bits.
    """
    world, scene = scene_of(task)
    env, judged = theirs(task), world.task(task)
    state, seen = begin(env), env._get_obs()
    for step in range(8):
        action = towards(seen, step)
        after = scene.rollout(state[None], action[None, None])[0, 0]
        env.data.qacc_warmstart[:] = 0.0
        for _ in range(REPEAT):
            seen, reward, _, _, info = env.step(action)
        assert np.array_equal(begin(env)[1:], after[1:])
        before, reached = (scene.shown(one, True) for one in (state, after))
        assert reached[SEEN].numpy() == pytest.approx(seen[SEEN], abs=1e-6)
        assert float(judged.reward(before, torch.from_numpy(action), reached)) == pytest.approx(
            float(reward), abs=1e-4
        )
        assert bool(judged.success(reached)) == bool(info["success"])
        state = after
