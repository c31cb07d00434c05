"""The suite's domains are judged as dm_control judges them."""

import mujoco
import numpy as np
import pytest
import torch

from tasks.control_suite import variants
from tasks.control_suite.variants import VARIANTS
from tasks.errors import TaskError
from tasks.registry import make


@pytest.fixture(scope="module")
def path() -> tuple[np.ndarray, np.ndarray]:
    scene = make("dm_control:walker").make_scene(())
    rng = np.random.default_rng(0)
    starts = scene.sample_states(rng, 3)
    actions = rng.uniform(-1, 1, (3, 10, 6)).astype(np.float32)
    return np.concatenate([starts[:, None], scene.rollout(starts, actions)], axis=1), actions


@pytest.mark.parametrize("task", ["stand", "walk", "run"])
def test_rewards_are_the_suites_own(path: tuple[np.ndarray, np.ndarray], task: str) -> None:
    from dm_control import suite

    states, actions = path
    walker = make("dm_control:walker")
    theirs = suite.load("walker", task)
    theirs.reset()
    physics = theirs.physics
    seen = walker.make_scene(()).observe_privileged(states, with_state=True)
    ours = walker.task(task).reward(seen[:, :-1], torch.from_numpy(actions), seen[:, 1:])
    for row, plan in enumerate(actions):
        full = mujoco.mjtState.mjSTATE_FULLPHYSICS
        mujoco.mj_setState(physics.model.ptr, physics.data.ptr, states[row, 0], full)
        physics.forward()
        for t, action in enumerate(plan):
            reward = sum(theirs.step(action).reward for _ in range(2))
            assert float(ours[row, t]) == pytest.approx(reward, abs=1e-5)


def test_rewards_of_ours_lie_between_nothing_and_one_per_control_step(
    path: tuple[np.ndarray, np.ndarray],
) -> None:
    states, actions = path
    walker = make("dm_control:walker")
    seen = walker.make_scene(()).observe_privileged(states, with_state=True)
    for task in walker.tasks.values():
        reward = task.reward(seen[:, :-1], torch.from_numpy(actions), seen[:, 1:])
        assert float(reward.min()) >= 0 and float(reward.max()) <= 2


def test_a_reward_of_the_state_cannot_be_told_from_observations_alone() -> None:
    walker = make("dm_control:walker")
    obs = torch.zeros(2, walker.spec.obs_size)
    with pytest.raises(TaskError, match="learned reward"):
        walker.task("walk").reward(obs, torch.zeros(2, 6), obs)


def test_tasks_that_move_their_target_are_left_out_and_named_places_are_there() -> None:
    assert set(make("dm_control:reacher").tasks) == {
        f"reach_{where}" for where in ("top_left", "top_right", "bottom_left", "bottom_right")
    }


def test_an_unknown_domain_names_the_nearest() -> None:
    with pytest.raises(TaskError, match="walker"):
        make("dm_control:walkre")


@pytest.mark.parametrize("domain", sorted(VARIANTS))
def test_rewards_of_our_own_can_be_judged_in_every_domain(domain: str) -> None:
    body = make(f"dm_control:{domain}")
    scene = body.make_scene(())
    states = scene.sample_states(np.random.default_rng(0), 2)
    seen = scene.observe_privileged(states, with_state=True)
    action = torch.zeros(2, body.spec.action_size)
    for name in VARIANTS[domain]:
        reward = body.task(name).reward(seen, action, seen)
        assert bool(reward.isfinite().all()) and float(reward.min()) >= 0 and float(reward.max()) <= 4


def test_a_walker_that_spins_is_paid_for_turning_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for turning, reward in ((-3.0, 0.0), (5.0, 0.5), (12.0, 1.0)):
        monkeypatch.setattr(
            variants, "angular_momentum", lambda physics, turning=turning: (0.0, turning, 0.0)
        )
        assert VARIANTS["walker"]["spin"](None) == pytest.approx(reward)


@pytest.mark.parametrize("domain", ["reacher", "manipulator"])
def test_what_is_seen_is_a_function_of_the_state_wherever_episodes_put_their_target(domain: str) -> None:
    scene, rng = make(f"dm_control:{domain}").make_scene(()), np.random.default_rng(0)
    states = scene.sample_states(rng, 2)
    before = scene.observe(states)
    scene.sample_states(rng, 3)
    np.testing.assert_array_equal(scene.observe(states), before)


def test_a_body_afloat_sees_how_it_lies_and_not_where_or_what_presses_on_it() -> None:
    quadruped = make("dm_control:quadruped")
    scene, names = quadruped.make_scene(()), [column.name for column in quadruped.spec.observation]
    state = scene.sample_states(np.random.default_rng(0), 3)
    seen = scene.observe(state)
    up = seen[:, [names.index(f"torso_up_{axis}") for axis in "xyz"]]
    np.testing.assert_allclose(np.linalg.norm(up, axis=1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(up[:, 2], seen[:, names.index("torso_upright")], rtol=1e-6)
    np.testing.assert_allclose(seen[:, names.index("torso_height")], state[:, 3], rtol=1e-6)
    assert not any("force" in name for name in names) and names.count("imu_2") == 1 and "imu_3" not in names
    turned, half = state.copy(), np.array([np.cos(0.6), 0.0, 0.0, np.sin(0.6)])
    for row in turned:
        mujoco.mju_mulQuat(row[4:8], half, row[4:8].copy())
    turned[:, 1:3] += 5.0
    np.testing.assert_allclose(scene.observe(turned), seen, atol=1e-5)


def test_the_ball_is_worth_more_with_the_fingers_at_it() -> None:
    manipulator = make("dm_control:manipulator")
    scene = manipulator.make_scene(())
    state = scene.sample_states(np.random.default_rng(0), 1)
    ball = [1 + scene.model.joint(f"ball_{axis}").qposadr[0] for axis in "xz"]
    hand = scene.observe(state)[0, [manipulator.spec.index(f"hand_pos_{i}") for i in (0, 1)]]
    reward = {}
    for name, place in (("in the hand", hand), ("elsewhere", (0.45, 0.05))):
        put = state.copy()
        put[:, ball] = place
        seen = scene.observe_privileged(put, with_state=True)
        action = torch.zeros(1, manipulator.spec.action_size)
        reward[name] = float(manipulator.task("bring_left").reward(seen, action, seen)[0])
    assert reward["in the hand"] > reward["elsewhere"]
