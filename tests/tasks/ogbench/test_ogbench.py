"""OGBench's workcells as all above `tasks/` sees them: names, columns, starts, hand, locks."""

from __future__ import annotations

from importlib import util
from typing import Any

import mujoco
import numpy as np
import pytest

from tasks.environment import Environment
from tasks.errors import TaskError
from tasks.ogbench.cells import CELLS, parse_name
from tasks.registry import make
from tasks.simulator import Simulator


@pytest.mark.parametrize("name", CELLS)
def test_every_column_is_named_once_and_every_start_is_in_range(name: str) -> None:
    spec, scene = make(f"ogbench:{name}").spec, make(f"ogbench:{name}").make_scene(())
    names = [variable.name for variable in spec.observation]
    obs = scene.observe(scene.sample_states(np.random.default_rng(0), 20))
    assert len(set(names)) == len(names) == spec.obs_size == obs.shape[1] and obs.dtype == np.float32
    low, high = (np.array([getattr(v, end) for v in spec.observation]) for end in ("low", "high"))
    assert (obs > low - 1e-6).all() and (obs < high + 1e-6).all()
    for fixture in spec.fixtures:
        assert (
            names[fixture.position] == fixture.name and names[fixture.velocity] == f"{fixture.name}_velocity"
        )
        assert all(obs[:, column].min() == 0.0 and obs[:, column].max() == 1.0 for column in fixture.linked)
    assert (spec.action_size, spec.control_dt, spec.episode_steps) == (5, 0.05, CELLS[name].steps)


@pytest.mark.parametrize("text", ["scene-v0", "scene-play-v0", "scene-noisy-v0-val"])
def test_their_names_are_understood(text: str) -> None:
    assert parse_name(text) == ("scene", CELLS["scene"])


@pytest.mark.parametrize("text", ["scenes", "cube-double", "antmaze-large-v0"])
def test_what_there_is_not(text: str) -> None:
    with pytest.raises(TaskError, match=r"no workcell .*(scene|cube-single)") as error:
        make(f"ogbench:{text}")
    assert "\n" not in str(error.value)


def test_without_ogbench_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    real = util.find_spec

    def none(name: str, *rest: Any) -> Any:
        return None if name == "ogbench" else real(name, *rest)

    monkeypatch.setattr("tasks.ogbench.cells.find_spec", none)
    with pytest.raises(TaskError, match=r"pip install 'mbtransfer\[ogbench\]'"):
        make("ogbench:puzzle_3x3")


def test_a_locked_slide_does_not_give_way(workcell: Environment, scene: Simulator) -> None:
    """The same push at the drawer's handle from the same place, with the lock shut, open, and held for good."""
    states, spec = scene.sample_states(np.random.default_rng(0), 1, {"drawer": -0.01}), workcell.spec
    drawer, light = spec.fixture("drawer"), len(CELLS["scene"].lights)
    states[:, -light:] = 1.0
    assert scene.hand_controller is not None
    for _ in range(14):  # open fingers come down on the handle
        way = scene.observe(states)[:, list(drawer.handle)] / 0.05
        high = np.linalg.norm(way[:, :2], axis=1) > 0.8
        way[:, 2] += np.where(high, 1.5, 0.0)
        wishes = np.clip(np.append(way, [[-1.0]], axis=1), -1, 1)
        turned = scene.hand_controller.steer(states, wishes)
        turned[:, 3] = np.clip(-np.sin(2 * _yaw(scene, states)) / 0.6, -1, 1)
        states = scene.rollout(states, turned[:, None])[:, 0]
    shut = states.copy()
    shut[:, -light] = 0.0
    pull = np.tile(np.array([0.0, 1.0, 0.0, 0.0, 1.0], np.float32), (1, 12, 1))
    held = workcell.make_scene(("drawer",))
    ways = [
        float(
            one.observe(one.rollout(begin, pull)[:, -1])[0, drawer.position]
            - scene.observe(begin)[0, drawer.position]
        )
        for one, begin in ((scene, states), (scene, shut), (held, states))
    ]
    assert ways[0] < -0.1 and abs(ways[1]) < 0.005 and abs(ways[2]) < 0.005


def _yaw(scene: Simulator, states: np.ndarray) -> np.ndarray:
    obs = scene.observe(states)
    x, y = (obs[:, scene.spec.index(f"hand_axis_x_{axis}")] for axis in "xy")
    return np.arctan2(y, x)


def test_the_cube_cannot_be_locked(workcell: Environment) -> None:
    with pytest.raises(TaskError, match="cube_x lies free"):
        workcell.make_scene(("cube_x",))
    with pytest.raises(TaskError, match="cube_yaw_cos cannot be set"):
        workcell.make_scene(()).sample_states(np.random.default_rng(0), 1, {"cube_yaw_cos": 0.0})


def test_the_hand_is_put_near_a_handle_and_goes_where_wishes_say(
    workcell: Environment, scene: Simulator
) -> None:
    rng, controller = np.random.default_rng(0), scene.hand_controller
    assert controller is not None
    obs = scene.observe(controller.approach(rng, scene.sample_states(rng, 24)))
    handles = sorted({fixture.handle for fixture in workcell.spec.fixtures})
    nearest = np.min([np.linalg.norm(obs[:, list(handle)], axis=1) for handle in handles], axis=0)
    assert (nearest < 0.14).mean() > 0.9
    states = scene.sample_states(rng, 3)
    begun = states
    wishes = np.concatenate([0.5 * np.eye(3), np.ones((3, 1))], axis=1)
    for _ in range(6):
        states = scene.rollout(states, controller.steer(states, wishes)[:, None])[:, 0]
    way = (scene.observe(states) - scene.observe(begun))[:, :4]
    assert (way[:, :3].argmax(axis=1) == np.arange(3)).sum() >= 2 and (way[:, 3] > 0.5).all()


def test_velocities_are_changes(scene: Simulator, workcell: Environment) -> None:
    rng, model = np.random.default_rng(0), scene.model
    state = scene.sample_states(rng, 1)[0]
    first = 1 + model.nq
    state[first : first + model.nv] = 0.1 * rng.normal(size=model.nv)
    after = state.copy()
    place, speed = state[1:first].copy(), state[first : first + model.nv].copy()
    mujoco.mj_integratePos(model, place, speed, 1e-4)
    after[1:first] = place
    here, there = (scene.observe(one).astype(np.float64) for one in (state, after))
    rate = (there - here) / 1e-4
    spec = workcell.spec
    assert rate[list(spec.hand)] == pytest.approx(here[list(spec.hand_velocity)], abs=0.01)
    for fixture in spec.fixtures:
        assert rate[fixture.position] == pytest.approx(here[fixture.velocity], abs=0.02), fixture.name


def test_stepping_rolling_out_and_diverging(scene: Simulator) -> None:
    start = scene.sample_states(np.random.default_rng(0), 2)
    actions = np.random.default_rng(1).uniform(-1, 1, (2, 4, 5)).astype(np.float32)
    path = scene.rollout(start, actions)
    scene.set_state(start[0])
    for action, state in zip(actions[0], path[0], strict=True):
        assert np.array_equal(scene.step(action), scene.observe(state))
        assert np.array_equal(scene.get_state(), state)
    start[1, 30:40] = 1e12
    path = scene.rollout(start, actions)
    assert np.isfinite(path[0]).all() and np.isnan(path[1]).any(axis=1).all()


def test_planning_takes_larger_steps_and_ends_nearly_there(scene: Simulator) -> None:
    states = scene.sample_states(np.random.default_rng(0), 4)
    actions = np.random.default_rng(1).uniform(-1, 1, (4, 1, 5)).repeat(6, axis=1)
    assert scene.coarse is not None and scene.coarse.coarse is None
    true, coarse = (one.observe(one.rollout(states, actions)[:, -1])[:, :3] for one in (scene, scene.coarse))
    assert 0 < np.abs(true - coarse).max() < 0.02
