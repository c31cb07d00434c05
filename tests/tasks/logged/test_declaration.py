from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from tasks.errors import TaskError
from tasks.logged.environment import LoggedEnvironment, logged_environment

WHOLE = """\
control_step: 0.05
columns:
  lift: {unit: rad, angle: true}
  x: {unit: m, low: -1, high: 1}
  y: {unit: m, low: -1, high: 1}
  z: {unit: m, low: 0, high: 1}
  drawer: {unit: m, low: 0, high: 0.4}
  drawer_velocity: {unit: m/s}
  dx:
  dy:
  dz:
actions:
  pull: {unit: N, low: -1, high: 1}
hand: {position: [x, y, z]}
fixtures:
  drawer: {position: drawer, velocity: drawer_velocity, handle: [dx, dy, dz],
           target: {open: 0.3, shut: 0}, tolerance: 0.02}
"""


def declared(folder: Path, text: str = WHOLE) -> LoggedEnvironment:
    (folder / "arm.yaml").write_text(text)
    return logged_environment(str(folder / "arm.yaml"))


def test_a_file_becomes_a_spec_with_tasks(tmp_path: Path) -> None:
    world = declared(tmp_path)
    spec = world.spec
    assert spec.control_dt == 0.05 and spec.obs_size == 9 and spec.hand == (1, 2, 3) and spec.angles == (0,)
    assert (spec.observation[0].low, spec.observation[0].high) == (-math.pi, math.pi)
    assert spec.fixture("drawer").handle == (6, 7, 8) and spec.fixture("drawer").high == 0.4
    assert list(world.tasks) == ["open", "shut"] and not world.simulated
    assert world.bounded == {1, 2, 3, 4}


def test_a_goal_is_near_within_its_tolerance(tmp_path: Path) -> None:
    task, obs = declared(tmp_path).task("open"), torch.zeros(3, 9)
    obs[:, 4] = torch.tensor([0.1, 0.285, 0.3])
    assert task.success(obs).tolist() == [False, True, True]
    assert task.is_valid_start(obs).tolist() == [True, False, False]
    reward = task.reward(obs, torch.zeros(3, 1), obs)
    torch.testing.assert_close(reward, torch.tensor([-1.5, 1 - 0.1125, 1.0]))
    assert task.reward(obs, torch.zeros(3, 1), obs + torch.eye(9)[6])[2] == pytest.approx(0.0)


def test_any_bounded_column_can_be_moved(tmp_path: Path) -> None:
    world = declared(tmp_path)
    goal = world.move("x", 0.5)
    assert (goal.column, goal.to, goal.tolerance, goal.fixture) == (1, 0.5, pytest.approx(0.04), None)
    assert world.move("drawer", 0.1).tolerance == 0.02
    for name, to, said in (
        ("lift", 0.1, "lift has no bounds; give it low and high to move it"),
        ("drawr", 0.1, "no fixture 'drawr'; did you mean 'drawer'?"),
        ("x", 3.0, "x cannot move to 3.0; its range is -1 to 1 m"),
    ):
        with pytest.raises(TaskError) as refused:
            world.move(name, to)
        assert str(refused.value).endswith(f"arm.yaml: {said}")


@pytest.mark.parametrize(
    "was, now, said",
    [
        ("control_step: 0.05\n", "", ":1:1: the file has no 'control_step'; add 'control_step: ...'"),
        ("control_step: 0.05", "control_step: 0", ":1:1: control_step should be greater than 0, not '0'"),
        ("control_step: 0.05", "control_step: nan", ":1:1: control_step should be a finite number, not 'nan'"),
        ("  dx:", "  dx: {units: m}", ":9:8: no key 'units'; did you mean 'unit'?"),
        ("  dx:", "  dx: {low: 1}", ":9:8: dx has low alone; give both, or neither"),
        ("low: 0, high: 1}", "low: 1, high: 1}", ":6:16: z: low 1 is not below high 1"),
        ("  dx:", "  9x:", ":9:3: '9x' is no name: begin with a letter, go on with letters, digits and _.-/"),
        ("unit: rad, angle: true", "unit: deg, angle: true",
         ":3:10: angles are read in radians, not 'deg'; let the mapping convert them"),
        ("low: -1, high: 1}\nhand", "low: -1}\nhand", ":13:3: pull has no 'high'; add 'high: ...'"),
        ("[x, y, z]", "[x, y, zz]", ":14:25: no column 'zz'; did you mean 'z'?"),
        ("[x, y, z]", "[dx, y, z]", ":9:3: dx needs low and high: it is to be brought to places in between"),
        ("open: 0.3", "open: 0.5", ":17:21: target 0.5 is outside of drawer, 0 to 0.4"),
        (", velocity: drawer_velocity", "", ":16:30: drawer has handle alone; give velocity and handle, or neither"),
        ("position: drawer,", "position: drawr,", ":16:12: no column 'drawr'; did you mean 'drawer'?"),
        ("tolerance: 0.02", "tolerance: wide", ":17:42: tolerance should be a valid number, unable to parse string"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_with_its_place(tmp_path: Path, was: str, now: str, said: str) -> None:
    assert was in WHOLE
    with pytest.raises(TaskError) as refused:
        declared(tmp_path, WHOLE.replace(was, now, 1))
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_what_needs_a_simulator_says_so(tmp_path: Path) -> None:
    world = declared(tmp_path)
    scene = world.make_scene(())
    refusals = (
        lambda: scene.step(np.zeros(1)), lambda: scene.rollout(np.zeros((1, 9)), np.zeros((1, 1, 1))),
        lambda: scene.sample_states(np.random.default_rng(0), 1), lambda: scene.model,
        lambda: world.need_simulator("evaluate", "plan"),
    )  # fmt: skip
    for refuse in refusals:
        with pytest.raises(TaskError, match=r"arm.yaml has no simulator, and .* needs one; plan"):
            refuse()
    with pytest.raises(TaskError, match="has no simulator in which drawer could be locked"):
        world.make_scene(("drawer",))
