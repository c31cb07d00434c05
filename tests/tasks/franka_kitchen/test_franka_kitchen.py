"""The Franka kitchen as all above `tasks/` sees it: columns, hand, tasks, recipes, leading the hand."""

from __future__ import annotations

from importlib import util
from typing import Any

import numpy as np
import pytest
import torch

from tasks.environment import Environment
from tasks.errors import TaskError
from tasks.franka_kitchen.scene import load_model
from tasks.franka_kitchen.tasks import left_to_complete
from tasks.hand_control import HAND_ACTION
from tasks.recipe import RecipeProgress, find_recipe, parse_recipe, shipped_recipes
from tasks.simulator import Simulator

RECIPES = tuple(shipped_recipes("franka_kitchen"))


def test_every_column_is_named_once_and_every_start_is_in_range(
    franka: Environment, franka_scene: Simulator
) -> None:
    spec = franka.spec
    names = [variable.name for variable in spec.observation]
    obs = franka_scene.observe(franka_scene.sample_states(np.random.default_rng(0), 5))
    assert len(set(names)) == len(names) == spec.obs_size == obs.shape[1] and obs.dtype == np.float32
    for fixture in spec.fixtures:
        assert names[fixture.position] == fixture.name
        assert names[fixture.velocity] == f"{fixture.name}_velocity"
    assert [names[column] for column in spec.hand] == ["hand_x", "hand_y", "hand_z"]
    assert [names[column] for column in spec.arm[:7]] == [f"joint{i}" for i in range(1, 8)]
    assert (franka_scene.state_size, spec.episode_steps, spec.control_dt) == (60, 280, 0.08)


def test_the_hands_velocity_is_its_change(franka: Environment, franka_scene: Simulator) -> None:
    rng = np.random.default_rng(0)
    state = franka_scene.sample_states(rng, 1)[0]
    state[31:38] = rng.normal(size=7)
    after = state.copy()
    after[1:8] += 1e-4 * state[31:38]
    here, there = (franka_scene.observe(s).astype(np.float64) for s in (state, after))
    hand, speed = list(franka.spec.hand), list(franka.spec.hand_velocity)
    assert (there - here)[hand] / 1e-4 == pytest.approx(here[speed], abs=0.02)


def test_handles_move_with_their_fixtures(franka: Environment, franka_scene: Simulator) -> None:
    start = franka_scene.sample_states(np.random.default_rng(0), 1)
    for name in ("slide_cabinet", "hinge_cabinet", "left_hinge_cabinet", "microwave", "kettle_x", "kettle_y"):
        fixture = franka.spec.fixture(name)
        place = 0.3 * fixture.low + 0.7 * fixture.high
        rng = np.random.default_rng(0)
        moved = franka_scene.observe(franka_scene.sample_states(rng, 1, {name: place}))[0]
        columns = list(fixture.handle)
        assert moved[fixture.position] == pytest.approx(place, abs=1e-6)
        assert np.linalg.norm((moved - franka_scene.observe(start)[0])[columns]) > 0.02, name


def test_a_locked_fixture_stays(franka: Environment, franka_scene: Simulator) -> None:
    """A push of 20 Nm opens the microwave, unless it is locked."""
    turned = []
    for scene in (franka.make_scene(()), franka.make_scene(("microwave",))):
        scene.set_state(franka_scene.sample_states(np.random.default_rng(0), 1)[0])
        scene.data.qfrc_applied[22] = -20.0
        for _ in range(3):
            obs = scene.step(np.zeros(9, np.float32))
        turned.append(float(obs[franka.spec.fixture("microwave").position]))
    assert turned[0] < -0.5 and abs(turned[1]) < 0.01


def test_every_reward_prefers_the_goal(franka: Environment, franka_scene: Simulator) -> None:
    start = torch.from_numpy(franka_scene.observe(franka_scene.sample_states(np.random.default_rng(0), 1)))
    assert len(franka.tasks) == 7
    for task in franka.tasks.values():
        done = start.clone()
        done[:, list(task.columns)] = torch.tensor(task.goal)  # type: ignore[attr-defined]
        nothing = torch.zeros(1, 9)
        assert bool(task.success(done)) and not bool(task.success(start)) and bool(task.is_valid_start(start))
        assert task.reward(start, nothing, done) > task.reward(start, nothing, start) + 3.5
        assert task.fixtures and task.split == "source"


def test_an_unknown_subtask_is_named(franka_scene: Simulator) -> None:
    with pytest.raises(TaskError, match="did you mean 'microwave'"):
        left_to_complete(["microwav"], np.zeros((1, franka_scene.spec.obs_size), np.float32))


@pytest.mark.parametrize("name", RECIPES)
def test_each_recipe(name: str, franka: Environment) -> None:
    recipe = find_recipe(name, franka)
    assert recipe.name == name and len(recipe.steps) == 4
    progress = RecipeProgress(recipe)
    for _ in range(4):
        progress.update([True] * 4)
    assert progress.finished


def test_any_subtasks_in_any_order_are_a_recipe(franka: Environment) -> None:
    for some in (["kettle", "top_burner"], ["slide_cabinet", "microwave", "bottom_burner"]):
        lines = "".join(f"  - {name}\n" for name in some)
        recipe = parse_recipe(f"name: mine\nsteps:\n{lines}", franka)
        assert [step.task.name for step in recipe.steps] == some


def test_the_hand_goes_where_it_is_led(franka: Environment, franka_scene: Simulator) -> None:
    hand_controller, hand = franka_scene.hand_controller, list(franka.spec.hand)
    assert hand_controller is not None and len(HAND_ACTION) == 4
    states = franka_scene.sample_states(np.random.default_rng(0), 3)
    wishes = np.concatenate([0.5 * np.eye(3), np.ones((3, 1))], axis=1)
    now = states
    for _ in range(4):
        now = franka_scene.rollout(now, hand_controller.steer(now, wishes)[:, None].astype(np.float32))[:, -1]
    way = (franka_scene.observe(now) - franka_scene.observe(states))[:, hand]
    assert (way.argmax(axis=1) == np.arange(3)).all() and (way.max(axis=1) > 0.02).all()
    assert np.abs(way - np.diag(way.diagonal())).max() < 0.05


def test_the_hand_says_how_it_is_turned(franka: Environment, franka_scene: Simulator) -> None:
    states = franka_scene.sample_states(np.random.default_rng(0), 1).repeat(2, axis=0)
    states[1, 7] += 0.5
    axes = franka_scene.observe(states)[:, list(franka.spec.axes)].reshape(2, 3, 3)
    assert np.abs(axes @ axes.transpose(0, 2, 1) - np.eye(3)).max() < 1e-5
    assert np.linalg.det(axes) == pytest.approx(1.0, abs=1e-5)
    between = np.degrees(np.arccos(np.clip((axes[0] * axes[1]).sum(axis=1), -1, 1)))
    assert sorted(between)[0] < 1.0 and sorted(between)[2] == pytest.approx(np.degrees(0.5), abs=1.0)


def test_planning_takes_larger_steps_and_ends_nearly_there(franka_scene: Simulator) -> None:
    states = franka_scene.sample_states(np.random.default_rng(0), 3)
    actions = np.random.default_rng(1).uniform(-0.5, 0.5, (3, 1, 9)).repeat(6, axis=1)
    assert franka_scene.coarse is not None and franka_scene.coarse.coarse is None
    true, coarse = (
        scene.rollout(states, actions)[:, -1, 1:8] for scene in (franka_scene, franka_scene.coarse)
    )
    assert 0 < np.abs(true - coarse).max() < 0.05 < np.abs(true - states[:, 1:8]).max()


def test_approaching_puts_the_hand_near_handles(franka: Environment, franka_scene: Simulator) -> None:
    assert franka_scene.hand_controller is not None
    states = franka_scene.sample_states(np.random.default_rng(0), 12)
    obs = franka_scene.observe(franka_scene.hand_controller.approach(np.random.default_rng(1), states))
    handles = sorted({fixture.handle for fixture in franka.spec.fixtures})
    nearest = np.min([np.linalg.norm(obs[:, list(h)], axis=1) for h in handles], axis=0)
    assert (nearest < 0.2).mean() > 0.7


def test_without_the_extra_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    real = util.find_spec

    def none(name: str, *rest: Any) -> Any:
        return None if name == "gymnasium_robotics" else real(name, *rest)

    monkeypatch.setattr("tasks.franka_kitchen.scene.find_spec", none)
    with pytest.raises(TaskError, match=r"pip install 'mbtransfer\[robotics\]'"):
        load_model()
