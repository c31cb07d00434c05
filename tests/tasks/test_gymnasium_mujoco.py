from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from tasks.environment import Environment
from tasks.errors import TaskError
from tasks.gymnasium_env.mujoco_scene import MujocoScene
from tasks.gymnasium_env.step_only_scene import StepOnlySimulator
from tasks.registry import make
from tasks.simulator import Simulator

EXAMPLES = Path(__file__).parent / "gym_examples.py"
ROBOTS = [
    "Pusher-v5", "Reacher-v5", "HalfCheetah-v5", "Hopper-v5", "InvertedPendulum-v5", "InvertedDoublePendulum-v5",
    "Walker2d-v5", "Swimmer-v5", "Ant-v5", "Ant-v5,include_cfrc_ext_in_observation=False",
]  # fmt: skip


@pytest.fixture(scope="module")
def reacher() -> Environment:
    return make("gym:Reacher-v5")


@pytest.fixture(scope="module")
def arm(reacher: Environment) -> Simulator:
    return reacher.make_scene(())


def widened(scene: Simulator, states: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.concatenate([scene.observe(states).astype(np.float64), states], axis=-1))


def running(name: str) -> Any:
    plain, _, option = name.partition(",")
    options = {"include_cfrc_ext_in_observation": False} if option else {}
    if plain[:4] in ("Hopp", "Walk", "Ant-"):
        options["terminate_when_unhealthy"] = False
    return gymnasium.make(plain, **options)


@pytest.mark.parametrize("name", ROBOTS)
def test_a_roll_out_is_what_gymnasium_does(name: str) -> None:
    world = make(f"gym:{name}")
    scene, env = world.make_scene(()), running(name)
    assert isinstance(scene, MujocoScene)
    state = scene.sample_states(np.random.default_rng(3), 1)
    seed = int(np.random.default_rng(3).integers(2**31, size=1)[0])
    seen, rewards = [env.reset(seed=seed)[0]], []
    actions = np.random.default_rng(0).uniform(
        env.action_space.low, env.action_space.high, (25, world.spec.action_size)
    )
    actions = actions.astype(np.float32)
    for action in actions:
        obs, reward, *_ = env.step(action)
        seen.append(obs)
        rewards.append(reward)
    path = np.concatenate([state[:, None], scene.rollout(state, actions[None])], axis=1)[0]
    np.testing.assert_allclose(scene.observe(path), np.array(seen, np.float32), rtol=1e-6, atol=1e-6)
    shown = widened(scene, path)
    given = world.task("native").reward(shown[:-1], torch.from_numpy(actions), shown[1:])
    np.testing.assert_allclose(given.numpy(), np.array(rewards, np.float32), rtol=1e-6, atol=1e-6)


def test_what_lags_behind_is_seen_as_gymnasium_sees_it(arm: Simulator) -> None:
    """After a step the fingertip is where it was one physics step before; a state set anew would differ."""
    start = arm.sample_states(np.random.default_rng(0), 1)
    after = arm.rollout(start, np.ones((1, 10, 2), np.float32))[0, -1]
    physics = (arm.state_size - arm.model.nu) // 2
    fresh = np.concatenate([after[:physics], after[:physics], np.zeros(arm.model.nu)])
    lag = np.abs(arm.observe(after) - arm.observe(fresh))
    assert lag[:8].max() < 1e-6 < 1e-5 < lag[8:].max()


def test_branches_steps_and_stored_states_agree(arm: Simulator) -> None:
    rng = np.random.default_rng(0)
    states, actions = arm.sample_states(rng, 3), rng.uniform(-1, 1, (3, 6, 2)).astype(np.float32)
    path = arm.rollout(states, actions)
    assert path.shape == (3, 6, arm.state_size)
    again = arm.rollout(path[:, 2], actions[:, 3:])
    np.testing.assert_array_equal(again, path[:, 3:])
    arm.set_state(states[1])
    for t in range(6):
        np.testing.assert_array_equal(arm.step(actions[1, t]), arm.observe(path[1, t]))
    np.testing.assert_array_equal(arm.get_state(), path[1, -1])


def test_starts_are_those_of_the_seed(arm: Simulator) -> None:
    first, again, other = (arm.sample_states(np.random.default_rng(seed), 4) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_state_that_is_none_shows_as_none(reacher: Environment, arm: Simulator) -> None:
    states = arm.sample_states(np.random.default_rng(0), 2)
    states[1] = np.nan
    obs = arm.observe(states)
    assert np.isfinite(obs[0]).all() and np.isnan(obs[1]).all()
    rewards = reacher.task("native").reward(widened(arm, states), torch.zeros(2, 2), widened(arm, states))
    assert rewards.isfinite().tolist() == [True, False]


def test_the_spec_tells_names_ranges_and_clock(reacher: Environment) -> None:
    spec = reacher.spec
    assert (spec.name, spec.control_dt, spec.episode_steps) == ("gym:Reacher-v5", 0.02, 50)
    assert spec.index("target_x") == 4 and spec.hand == () and spec.fixtures == ()
    cheetah = make("gym:HalfCheetah-v5").spec
    assert [v.name for v in cheetah.observation[:2]] == ["rootz", "rooty"]
    assert cheetah.observation[8].name == "rootx_velocity"
    for variable in (*spec.observation, *cheetah.observation):
        assert variable.low < variable.high and abs(variable.low) + abs(variable.high) < 1000


def test_the_task_needs_the_state_and_has_no_success(reacher: Environment, arm: Simulator) -> None:
    task, states = reacher.task("native"), arm.sample_states(np.random.default_rng(0), 2)
    obs = torch.from_numpy(arm.observe(states))
    assert task.privileged and task.split == "source"
    assert not task.success(obs).any() and task.is_valid_start(obs).all()
    with pytest.raises(TaskError, match="judged by the simulator's state"):
        task.reward(obs, torch.zeros(2, 2), obs)


def test_nothing_can_be_placed_or_locked(reacher: Environment, arm: Simulator) -> None:
    for act in (
        lambda: arm.sample_states(np.random.default_rng(0), 1, {"door": 1.0}),
        lambda: reacher.make_scene(("door",)),
    ):
        with pytest.raises(
            TaskError, match=r"^gym:Reacher-v5: no fixture 'door'; a Gymnasium environment has none$"
        ):
            act()


def test_an_action_must_be_numbers_and_is_cut_to_its_bounds(arm: Simulator) -> None:
    states = arm.sample_states(np.random.default_rng(0), 1)
    wide, full = (np.full((1, 1, 2), value, np.float32) for value in (7, 1))
    np.testing.assert_array_equal(arm.rollout(states, wide), arm.rollout(states, full))
    with pytest.raises(TaskError, match="not finite"):
        arm.rollout(states, wide * np.nan)


def test_a_robot_whose_step_does_more_is_stepped_live() -> None:
    scene = make(f"gym:{EXAMPLES}:gentle_reacher").make_scene(())
    assert isinstance(scene, StepOnlySimulator)
    with pytest.raises(TaskError, match="no pictures"):
        _ = scene.model
