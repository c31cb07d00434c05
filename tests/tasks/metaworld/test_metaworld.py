"""Meta-World as all above `tasks/` sees it: names, columns, starts, hand, tasks."""

from __future__ import annotations

from importlib import util
from typing import Any

import numpy as np
import pytest
import torch

from tasks.environment import Environment
from tasks.errors import TaskError
from tasks.registry import make
from tasks.simulator import Simulator


def test_every_column_is_named_once_and_every_start_is_in_range(
    drawer: Environment, drawer_scene: Simulator
) -> None:
    spec = drawer.spec
    names = [variable.name for variable in spec.observation]
    obs = drawer_scene.observe(drawer_scene.sample_states(np.random.default_rng(0), 5))
    assert len(set(names)) == len(names) == spec.obs_size == obs.shape[1] and obs.dtype == np.float32
    fixture = spec.fixture("drawer")
    assert (names[fixture.position], names[fixture.velocity]) == ("drawer", "drawer_velocity")
    assert [names[column] for column in spec.hand] == ["hand_x", "hand_y", "hand_z"]
    assert (spec.action_size, spec.episode_steps, spec.control_dt) == (4, 100, 0.0625)
    assert drawer_scene.state_size == 1 + 10 + 10 + 3


@pytest.mark.parametrize("text", ["drawer_open", "drawer-open-v3"])
def test_one_task_alone(text: str) -> None:
    world = make(f"metaworld:{text}")
    assert list(world.tasks) == ["drawer_open"] and world.spec.name == "metaworld:drawer_open"


@pytest.mark.parametrize(
    ("text", "said"), [("drower", "did you mean 'drawer'"), ("stick-pull-v3", "no scene or task")]
)
def test_what_there_is_not(text: str, said: str) -> None:
    with pytest.raises(TaskError, match=said) as error:
        make(f"metaworld:{text}")
    assert "\n" not in str(error.value)


def test_without_meta_world_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    real = util.find_spec

    def none(name: str, *rest: Any) -> Any:
        return None if name == "metaworld" else real(name, *rest)

    monkeypatch.setattr("tasks.metaworld.scenes.find_spec", none)
    with pytest.raises(TaskError, match=r"pip install --no-deps 'metaworld==3\.1\.\*'"):
        make("metaworld:lever_pull")


def test_episodes_begin_as_theirs_and_differ(drawer: Environment, drawer_scene: Simulator) -> None:
    states = drawer_scene.sample_states(np.random.default_rng(0), 24)
    shown = drawer_scene.observe_privileged(states, True)
    fresh = torch.stack([task.is_valid_start(shown) for task in drawer.tasks.values()])
    assert (fresh.sum(dim=0) == 1).all() and fresh.any(dim=1).all()
    assert len(np.unique(drawer_scene.observe(states)[:, 0])) == 24
    idle = drawer_scene.rollout(states, np.zeros((24, 3, 4), np.float32))
    moved = drawer_scene.observe(idle[:, -1])[:, :3] - drawer_scene.observe(states)[:, :3]
    assert np.abs(moved).max() < 0.01


def test_the_hand_is_put_near_the_handle(drawer: Environment, drawer_scene: Simulator) -> None:
    assert drawer_scene.hand_controller is not None
    rng = np.random.default_rng(0)
    obs = drawer_scene.observe(
        drawer_scene.hand_controller.approach(rng, drawer_scene.sample_states(rng, 24))
    )
    fixture = drawer.spec.fixture("drawer")
    distance = np.linalg.norm(obs[:, list(fixture.handle)], axis=1)
    assert (distance < 0.2).mean() > 0.9 and obs[:, fixture.position].std() > 0.02


def test_the_hand_goes_where_actions_say(drawer: Environment, drawer_scene: Simulator) -> None:
    states = drawer_scene.sample_states(np.random.default_rng(0), 3)
    wishes = np.concatenate([0.8 * np.eye(3), np.ones((3, 1))], axis=1).astype(np.float32)
    after = drawer_scene.rollout(states, wishes[:, None].repeat(5, axis=1))[:, -1]
    before, then = drawer_scene.observe(states), drawer_scene.observe(after)
    way = (then - before)[:, list(drawer.spec.hand)]
    assert (way.argmax(axis=1) == np.arange(3)).all() and (way.max(axis=1) > 0.1).all()
    assert (then[:, 3] < before[:, 3] - 0.1).all()


def test_velocities_are_changes(drawer: Environment, drawer_scene: Simulator) -> None:
    state = drawer_scene.sample_states(np.random.default_rng(0), 1)[0]
    state[8:10] = 0.01, -0.02
    state[11:20] = np.random.default_rng(1).normal(size=9) * 0.1
    after = state.copy()
    after[1:10] += 1e-4 * state[11:20]
    here, there = (drawer_scene.observe(one).astype(np.float64) for one in (state, after))
    assert (there - here)[:3] / 1e-4 == pytest.approx(here[list(drawer.spec.hand_velocity)], abs=0.02)
    assert (there - here)[3] / 1e-4 == pytest.approx(here[7], abs=0.1)


def test_stepping_and_rolling_out_agree(drawer_scene: Simulator) -> None:
    start = drawer_scene.sample_states(np.random.default_rng(0), 2)
    actions = np.random.default_rng(1).uniform(-1, 1, (2, 4, 4)).astype(np.float32)
    path = drawer_scene.rollout(start, actions)
    for row in range(2):
        drawer_scene.set_state(start[row])
        for action, state in zip(actions[row], path[row], strict=True):
            assert np.array_equal(drawer_scene.step(action), drawer_scene.observe(state))
            assert np.array_equal(drawer_scene.get_state(), state)


def test_planning_takes_larger_steps_and_ends_nearly_there(drawer_scene: Simulator) -> None:
    states = drawer_scene.sample_states(np.random.default_rng(0), 3)
    actions = np.random.default_rng(1).uniform(-1, 1, (3, 1, 4)).repeat(6, axis=1)
    assert drawer_scene.coarse is not None and drawer_scene.coarse.coarse is None
    true, coarse = (
        scene.observe(scene.rollout(states, actions)[:, -1])[:, :3]
        for scene in (drawer_scene, drawer_scene.coarse)
    )
    assert 0 < np.abs(true - coarse).max() < 0.02


def test_a_locked_fixture_stays(drawer: Environment, drawer_scene: Simulator) -> None:
    """A hand drawn against the drawer shuts it, unless it is locked."""
    states = drawer_scene.sample_states(np.random.default_rng(0), 1, {"drawer": -0.15})
    obs, column = drawer_scene.observe(states)[0], drawer.spec.fixture("drawer").position
    way = np.clip((obs[11:14] - np.array([0.0, 0.1, 0.0])) / 0.15, -1, 1)
    actions = np.concatenate([np.tile([*way, 1.0], (4, 1)), np.tile([0.0, 1.0, 0.0, 1.0], (6, 1))])
    ends = [
        scene.observe(scene.rollout(states, actions[None].astype(np.float32))[0, -1])[column]
        for scene in (drawer_scene, drawer.make_scene(("drawer",)))
    ]
    assert ends[0] > -0.05 and ends[1] == pytest.approx(-0.15, abs=0.005)


def test_a_simulation_that_diverges_is_marked(drawer: Environment, drawer_scene: Simulator) -> None:
    states = drawer_scene.sample_states(np.random.default_rng(0), 2)
    states[1, 11:21] = 1e12
    path = drawer_scene.rollout(states, np.zeros((2, 2, 4), np.float32))
    assert np.isfinite(path[0]).all() and np.isnan(path[1]).any(axis=1).all()
    shown = drawer_scene.observe_privileged(path[:, -1], True)
    for task in drawer.tasks.values():
        assert torch.isfinite(task.reward(shown, torch.zeros(2, 4), shown)).tolist() == [True, False]
        assert not task.success(shown)[1]
