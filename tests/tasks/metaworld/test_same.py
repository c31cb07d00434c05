"""Ours is theirs: physics, observations, rewards and success are those of Meta-World's own environments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from tasks.environment import Environment
from tasks.metaworld.inverse_kinematics import begin
from tasks.metaworld.scenes import LAYOUTS
from tasks.metaworld.spec import HANDLE, REPEAT
from tasks.registry import make
from tasks.simulator import Simulator

TASKS = [task for layout in LAYOUTS.values() for task in layout.tasks]
SEEN = [0, 1, 2, 3]
"""Hand and gripper are the first columns of both."""


def scene_of(task: str) -> tuple[Environment, Simulator]:
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
    """States bit for bit, if their solver starts cold where ours does: a step is a function of the state."""
    world, scene = scene_of(task)
    env, judged = theirs(task), world.task(task)
    assert env._random_reset_space.contains(env._last_rand_vec) or task == "window_close"
    state, seen = begin(env), env._get_obs()
    for step in range(8):
        action = towards(seen, step)
        after = scene.rollout(state[None], action[None, None])[0, 0]
        env.data.qacc_warmstart[:] = 0.0
        for _ in range(REPEAT):
            seen, reward, _, _, info = env.step(action)
        assert np.array_equal(begin(env)[1:], after[1:])
        before, reached = (scene.observe_privileged(one, True) for one in (state, after))
        assert reached[SEEN].numpy() == pytest.approx(seen[SEEN], abs=1e-6)
        given = judged.reward(before, torch.from_numpy(action), reached)
        assert float(given) == pytest.approx(float(reward), abs=1e-4)
        assert bool(judged.success(reached)) == bool(info["success"])
        state = after


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_handle_is_where_they_see_the_thing(theirs: Callable[[str], Any], name: str) -> None:
    env = theirs(LAYOUTS[name].tasks[0])
    _, scene = scene_of(LAYOUTS[name].tasks[0])
    seen, obs = env._get_obs(), scene.observe(begin(env))
    assert obs[:3] + obs[HANDLE : HANDLE + 3] == pytest.approx(seen[4:7], abs=1e-6)


@pytest.mark.parametrize("name", [name for name, layout in LAYOUTS.items() if len(layout.tasks) > 1])
def test_tasks_of_a_scene_share_its_physics(theirs: Callable[[str], Any], name: str) -> None:
    one, *others = (theirs(task) for task in LAYOUTS[name].tasks)
    parts = ("body_pos", "body_quat", "body_mass", "geom_pos", "geom_size", "geom_friction", "geom_solref")
    for other in others:
        for part in (*parts, "dof_damping", "jnt_range", "eq_data"):
            assert np.array_equal(getattr(one.model, part), getattr(other.model, part)), part
        assert np.array_equal(one.mocap_low, other.mocap_low) and one.frame_skip == other.frame_skip
        assert np.array_equal(one.mocap_high, other.mocap_high)


def test_their_warm_solver_hardly_differs(theirs: Callable[[str], Any]) -> None:
    _, scene = scene_of("drawer_open")
    env = theirs("drawer_open")
    state, seen = begin(env), env._get_obs()
    for step in range(10):
        action = towards(seen, step)
        state = scene.rollout(state[None], action[None, None])[0, 0]
        for _ in range(REPEAT):
            seen = env.step(action)[0]
    assert scene.observe(state)[SEEN] == pytest.approx(seen[SEEN], abs=1e-3)
