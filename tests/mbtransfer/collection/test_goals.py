"""Goals that the robot sets itself: of any fixture, far from where it is, and the same for the same seed."""

from collections import Counter

import numpy as np
import pytest
import torch

from mbtransfer.collection.planning_policy import draw_goals
from mbtransfer.errors import UserError
from tasks.registry import make


def test_they_are_of_all_fixtures_and_still_to_be_done() -> None:
    scene = make("kitchen").make_scene(())
    obs = scene.observe(scene.sample_states(np.random.default_rng(0), 200))
    goals = draw_goals(scene.spec, obs, (), np.random.default_rng(1))
    assert {goal.fixture.name for goal in goals} == {fixture.name for fixture in scene.spec.fixtures}
    assert all(
        bool(goal.is_valid_start(start)) for goal, start in zip(goals, torch.from_numpy(obs), strict=True)
    )
    again = draw_goals(scene.spec, obs, (), np.random.default_rng(1))
    assert [goal.name for goal in again] == [goal.name for goal in goals]


def test_what_has_many_fixtures_is_chosen_as_often_as_what_has_one() -> None:
    scene = make("kitchen").make_scene(())
    obs = np.repeat(scene.observe(scene.sample_states(np.random.default_rng(0), 1)), 900, axis=0)
    chosen = Counter(
        goal.fixture.handle for goal in draw_goals(scene.spec, obs, (), np.random.default_rng(1))
    )
    kettle = scene.spec.fixture("kettle_x").handle
    assert kettle == scene.spec.fixture("kettle_y").handle
    assert 0.5 < chosen[kettle] / (900 / len(chosen)) < 1.3


def test_what_is_locked_is_left_alone() -> None:
    scene = make("kitchen").make_scene(("drawer",))
    obs = scene.observe(scene.sample_states(np.random.default_rng(0), 50))
    goals = draw_goals(scene.spec, obs, ("drawer",), np.random.default_rng(1))
    assert "drawer" not in {goal.fixture.name for goal in goals}
    everything = tuple(fixture.name for fixture in scene.spec.fixtures)
    with pytest.raises(UserError, match="not locked"):
        draw_goals(scene.spec, obs, everything, np.random.default_rng(1))
