from __future__ import annotations

import mujoco
import numpy as np
import pytest

from tasks.environment import Environment
from tasks.errors import TaskError
from tasks.simulator import Simulator


def actions(scene: Simulator, n: int, steps: int, seed: int = 0) -> np.ndarray:
    """Each action held for a while, so that the hand gets somewhere: [n, steps, A]."""
    drawn = np.random.default_rng(seed).uniform(-1, 1, (n, (steps + 4) // 5, scene.spec.action_size))
    return np.repeat(drawn, 5, axis=1)[:, :steps].astype(np.float32)


def test_stepping_and_rolling_out_agree_bit_for_bit(scene: Simulator) -> None:
    states, plans = scene.sample_states(np.random.default_rng(0), 3), actions(scene, 3, 40)
    path = scene.rollout(states, plans)
    for start, plan, expected in zip(states, plans, path, strict=True):
        scene.set_state(start)
        for action, state in zip(plan, expected, strict=True):
            obs = scene.step(action)
            assert np.array_equal(scene.get_state(), state)
            assert np.array_equal(obs, scene.observe(state))


def test_a_rollout_goes_on_from_any_stored_state(scene: Simulator) -> None:
    states, plans = scene.sample_states(np.random.default_rng(1), 4), actions(scene, 4, 30)
    path = scene.rollout(states, plans)
    again = scene.rollout(path[:, 11].copy(), plans[:, 12:])
    assert np.array_equal(again, path[:, 12:])


def test_a_row_does_not_depend_on_the_others(scene: Simulator) -> None:
    states, plans = scene.sample_states(np.random.default_rng(2), 5), actions(scene, 5, 20)
    path = scene.rollout(states, plans)
    assert np.array_equal(scene.rollout(states[3:4], plans[3:4])[0], path[3])
    assert np.array_equal(scene.rollout(states[::-1], plans[::-1]), path[::-1])


def test_a_rollout_leaves_the_scene_alone(scene: Simulator) -> None:
    start = scene.sample_states(np.random.default_rng(3), 1)
    scene.set_state(start[0])
    scene.rollout(start, actions(scene, 1, 5))
    assert np.array_equal(scene.get_state(), start[0])


def test_a_new_scene_gives_the_same_episode(kitchen: Environment, scene: Simulator) -> None:
    other = kitchen.make_scene(())
    states = scene.sample_states(np.random.default_rng(4), 6)
    assert np.array_equal(other.sample_states(np.random.default_rng(4), 6), states)
    plans = actions(scene, 6, 20)
    assert np.array_equal(other.rollout(states, plans), scene.rollout(states, plans))


def test_actions_beyond_the_range_are_clipped(scene: Simulator) -> None:
    states, plans = scene.sample_states(np.random.default_rng(5), 2), 5 * actions(scene, 2, 5)
    assert np.array_equal(scene.rollout(states, plans), scene.rollout(states, plans.clip(-1, 1)))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_action_that_is_no_number_is_refused(scene: Simulator, bad: float) -> None:
    action = np.array([0, bad, 0, 0], np.float32)
    with pytest.raises(TaskError, match="an action is not finite"):
        scene.step(action)
    with pytest.raises(TaskError, match="an action is not finite"):
        scene.rollout(scene.sample_states(np.random.default_rng(0), 1), action[None, None])


def test_a_diverging_simulation_is_named(kitchen: Environment) -> None:
    scene = kitchen.make_scene(())
    state = scene.sample_states(np.random.default_rng(0), 1)[0]
    state[1 + scene.model.nq :] = np.nan
    scene.data.qvel[:] = np.nan
    scene.model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)
    mujoco.mj_setState(scene.model, scene.data, state, mujoco.mjtState.mjSTATE_FULLPHYSICS)
    with pytest.raises(TaskError, match="the simulation diverged"):
        scene.step(np.zeros(4, np.float32))


def test_starts_put_fixtures_where_they_are_wanted(scene: Simulator) -> None:
    states = scene.sample_states(np.random.default_rng(0), 9, {"drawer": 0.2, "tap": 0.1})
    obs = scene.observe(states)
    assert obs[:, scene.spec.fixture("drawer").position] == pytest.approx(0.2)
    assert obs[:, scene.spec.fixture("tap").position] == pytest.approx(0.1)
    with pytest.raises(TaskError, match="did you mean 'drawer'"):
        scene.sample_states(np.random.default_rng(0), 1, {"drawr": 0.2})
