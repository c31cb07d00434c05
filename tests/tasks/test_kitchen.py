from __future__ import annotations

import gymnasium
import mujoco
import numpy as np
import pytest
import torch

from tasks import KITCHEN_ID
from tasks.combinators import AllOf
from tasks.environment import Environment
from tasks.errors import TaskError
from tasks.kitchen.scene import FIXTURES, HAND, START_BOX, KitchenKinematics
from tasks.simulator import Simulator
from tasks.task import Move

HELD_OUT_FIXTURES = {"slide_cabinet", "right_knob", "kettle_x"}


def test_handles_are_where_mujoco_says(scene: Simulator) -> None:
    model, data = scene.model, mujoco.MjData(scene.model)
    states = scene.sample_states(np.random.default_rng(0), 30)
    vectors = KitchenKinematics(model, HAND, FIXTURES).observe(states)[:, 2 * len(HAND + FIXTURES) :]
    finger = model.body("hand").id
    for state, row in zip(states, vectors, strict=True):
        mujoco.mj_setState(model, data, state, mujoco.mjtState.mjSTATE_FULLPHYSICS)
        mujoco.mj_kinematics(model, data)
        np.testing.assert_allclose(row, (data.site_xpos - data.xpos[finger]).reshape(-1), atol=1e-12)


def test_positions_and_velocities_are_the_simulator_s(scene: Simulator) -> None:
    state = scene.sample_states(np.random.default_rng(1), 1)[0]
    obs, names = scene.set_state(state), HAND + FIXTURES
    assert obs.dtype == np.float32
    for i, name in enumerate(names):
        joint = scene.data.joint(name)
        assert obs[i] == pytest.approx(joint.qpos[0], abs=1e-6)
        assert obs[len(names) + i] == pytest.approx(joint.qvel[0], abs=1e-6)


def test_observations_stay_in_their_documented_ranges(scene: Simulator) -> None:
    rng = np.random.default_rng(2)
    plans = np.repeat(rng.uniform(-1, 1, (64, 6, 4)), 10, axis=1).astype(np.float32)
    path = scene.rollout(scene.sample_states(rng, 64), plans)
    obs, variables = scene.observe(path), scene.spec.observation
    low, high = (np.array([getattr(v, end) for v in variables], np.float32) for end in ("low", "high"))
    assert np.isfinite(path).all()
    assert (obs >= low).all() and (obs <= high).all()
    # The ranges are the joints' own, so positions need no clipping, but for a soft limit's give.
    columns = [1 + scene.model.joint(name).qposadr[0] for name in HAND + FIXTURES]
    positions, n = path[..., columns], len(columns)
    assert np.mean((positions >= low[:n]) & (positions <= high[:n])) > 0.999


def test_starts_are_varied_and_touch_nothing(scene: Simulator) -> None:
    states = scene.sample_states(np.random.default_rng(3), 300)
    obs, spec = scene.observe(states), scene.spec
    hand = obs[:, list(spec.hand)]
    assert (hand >= START_BOX[:, 0] - 1e-6).all() and (hand <= START_BOX[:, 1] + 1e-6).all()
    for fixture in spec.fixtures:
        column = obs[:, fixture.position]
        assert (column >= fixture.low - 1e-6).all() and (column <= fixture.high + 1e-6).all()
        assert column.max() - column.min() > 0.9 * fixture.span
    touching = 0
    for state in states[:100]:
        scene.set_state(state)
        touching += scene.data.ncon
    assert touching == 0


def push(
    scene: Simulator, kitchen: Environment, fixture: str, to: float, seed: int, n: int = 16
) -> np.ndarray:
    """How far random wiggling close to the handle moves a fixture, at most: [n]."""
    rng, found = np.random.default_rng(seed), kitchen.spec.fixture(fixture)
    states = scene.sample_states(rng, n, {fixture: to})
    obs = scene.observe(states)
    hand = [1 + scene.model.joint(name).qposadr[0] for name in HAND]
    target = obs[:, list(kitchen.spec.hand)] + obs[:, list(found.handle)] + np.array([0, -0.05, 0])
    limits = np.array([scene.model.joint(name).range for name in HAND])
    states[:, hand] = target.clip(limits[:, 0], limits[:, 1])
    plans = np.repeat(rng.uniform(-1, 1, (n, 6, 4)), 5, axis=1).astype(np.float32)
    plans[..., 3] = 1.0
    plans[:, :3, 1] = 1.0
    path = scene.observe(scene.rollout(states, plans))[..., found.position]
    moved: np.ndarray = np.abs(path - to).max(axis=1) / found.span
    return moved


@pytest.mark.parametrize("fixture", FIXTURES)
def test_the_finger_moves_every_fixture(scene: Simulator, kitchen: Environment, fixture: str) -> None:
    found = kitchen.spec.fixture(fixture)
    assert push(scene, kitchen, fixture, (found.low + found.high) / 2, seed=0).max() > 0.2


def test_a_locked_fixture_stays_and_the_others_move(kitchen: Environment) -> None:
    locked = kitchen.make_scene(("drawer", "kettle_x"))
    assert push(locked, kitchen, "drawer", 0.0, seed=0).max() < 0.02
    assert push(locked, kitchen, "kettle_x", -0.12, seed=0).max() < 0.02
    assert push(locked, kitchen, "tap", 0.0, seed=0).max() > 0.2
    states = locked.sample_states(np.random.default_rng(0), 50)
    assert np.ptp(locked.observe(states)[:, kitchen.spec.fixture("drawer").position]) == 0.0
    with pytest.raises(TaskError, match="did you mean 'drawer'"):
        kitchen.make_scene(("drawr",))


def test_there_are_enough_named_tasks_and_a_split(kitchen: Environment) -> None:
    tasks = kitchen.tasks
    assert len(tasks) >= 24
    assert all(name == task.name and task.description for name, task in tasks.items())
    splits = {name: task.split for name, task in tasks.items()}
    assert set(splits.values()) == {"source", "held_out"}
    rewarded = {
        fixture.name for task in tasks.values() if task.split == "source" for fixture in task.fixtures
    }
    assert rewarded.isdisjoint(HELD_OUT_FIXTURES)
    held_out = {
        fixture.name for task in tasks.values() if task.split == "held_out" for fixture in task.fixtures
    }
    assert held_out >= HELD_OUT_FIXTURES
    assert rewarded | held_out == set(FIXTURES)
    assert any(isinstance(task, AllOf) for task in tasks.values())


def test_no_held_out_target_is_a_source_target(kitchen: Environment) -> None:
    moves = [task for task in kitchen.tasks.values() if isinstance(task, Move)]
    for held_out in (task for task in moves if task.split == "held_out"):
        for source in (task for task in moves if task.split == "source"):
            if source.fixture == held_out.fixture:
                assert abs(source.to - held_out.to) > 0.2 * held_out.fixture.span


def test_every_named_task_can_start_and_can_be_done(kitchen: Environment, scene: Simulator) -> None:
    states = scene.sample_states(np.random.default_rng(4), 400)
    obs = torch.from_numpy(scene.observe(states))
    for task in kitchen.tasks.values():
        assert bool(task.is_valid_start(obs).any()), task.name
        there = obs.clone()
        for part in task.parts if isinstance(task, AllOf) else (task,):
            assert isinstance(part, Move)
            there[:, part.fixture.position] = part.to
        assert bool(task.success(there).all()), task.name


def test_the_registered_length_is_the_spec_s(kitchen: Environment) -> None:
    assert gymnasium.spec(KITCHEN_ID).max_episode_steps == kitchen.spec.episode_steps


def test_nothing_moves_by_itself(scene: Simulator) -> None:
    """Friction brakes: a line search that is cut short let a moving light switch creep on for ever."""
    rng, joints = np.random.default_rng(0), len(HAND + FIXTURES)
    states = scene.sample_states(rng, 300)
    states[:, -joints + len(HAND) :] = rng.uniform(-2, 2, (300, len(FIXTURES)))
    path = scene.observe(scene.rollout(states, np.zeros((300, 25, 4), np.float32)))
    for fixture in scene.spec.fixtures:
        late = np.abs(path[:, -1, fixture.position] - path[:, 15, fixture.position])
        assert late.max() < 0.005 * fixture.span, fixture.name


def test_a_fixture_at_its_stop_counts_as_open_or_shut(kitchen: Environment, scene: Simulator) -> None:
    obs = torch.from_numpy(scene.observe(scene.sample_states(np.random.default_rng(5), 1)))
    for name, task in kitchen.tasks.items():
        if isinstance(task, Move) and name.endswith(("_open", "_close", "_on", "_off", "_back", "_front")):
            end = max((task.fixture.low, task.fixture.high), key=lambda end, to=task.to: -abs(end - to))
            obs[:, task.fixture.position] = end
            assert bool(task.success(obs).all()), name
