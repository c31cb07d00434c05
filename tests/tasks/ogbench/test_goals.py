"""Goals that nobody asked for: not yet reached, within reach of the operators, and not of what is locked."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tasks.errors import TaskError
from tasks.ogbench.cells import CELLS
from tasks.ogbench.operators import Place
from tasks.ogbench.tasks import OPEN, ROOM, WorkcellTask
from tasks.registry import make


def drawn(name: str, count: int, locked: tuple[str, ...] = ()) -> tuple[list[WorkcellTask], torch.Tensor]:
    world, rng = make(f"ogbench:{name}"), np.random.default_rng(0)
    scene = world.make_scene(())
    states = scene.sample_states(rng, count)
    assert world.goals is not None
    goals = world.goals(states, locked, rng)
    assert all(isinstance(goal, WorkcellTask) for goal in goals)
    return [goal for goal in goals if isinstance(goal, WorkcellTask)], torch.from_numpy(scene.observe(states))


@pytest.mark.parametrize("name", CELLS)
def test_each_is_still_to_be_reached_and_there_is_a_way(name: str) -> None:
    goals, obs = drawn(name, 40)
    for goal, start in zip(goals, obs, strict=True):
        if bool(goal.success(start)):
            continue  # the cube may happen to lie there, or a slide
        steps = goal.steps(start)
        assert 1 <= len(steps) <= 4, (goal.description, steps)
    assert sum(bool(goal.success(start)) for goal, start in zip(goals, obs, strict=True)) <= 2


def test_in_the_scene_every_kind_of_thing_is_asked_for() -> None:
    goals, _ = drawn("scene", 60)
    assert {goal.name for goal in goals} == {"goal: cube", "goal: lights", "goal: drawer", "goal: window"}
    places = [op.task for goal in goals for op in goal.operators if isinstance(op.task, Place)]
    inside = [place for place in places if place.rides]
    assert 0 < len(inside) < len(places)
    for place in inside:
        assert ROOM[0][0] <= place.to[0] <= ROOM[1][0] and ROOM[0][1] <= place.to[1] <= ROOM[1][1]


def test_the_cube_goes_into_the_drawer_by_way_of_its_button() -> None:
    goals, obs = drawn("scene", 60)
    unlocked, drawer = (make("ogbench:scene").spec.index(one) for one in ("drawer_unlocked", "drawer"))
    seen = 0
    for goal, start in zip(goals, obs, strict=True):
        inside = any(isinstance(op.task, Place) and op.task.rides for op in goal.operators)
        if inside and float(start[unlocked]) < 0.5 and float(start[drawer]) > OPEN + 0.05:
            assert goal.steps(start) == ["press drawer_button", f"drawer to {OPEN:g}", "cube to its place"]
            seen += 1
    assert seen


def test_what_is_locked_is_not_asked_for() -> None:
    goals, _ = drawn("scene", 20, ("drawer", "drawer_button"))
    assert {goal.name for goal in goals} == {"goal: cube", "goal: window"}
    assert not any(isinstance(op.task, Place) and op.task.rides for goal in goals for op in goal.operators)
    with pytest.raises(TaskError, match="not locked"):
        drawn("puzzle-3x3", 2, ("button_4",))
