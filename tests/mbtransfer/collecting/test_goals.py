"""Goals that the robot sets itself: of any fixture, far from where it is, and the same for the same seed."""

import numpy as np
import pytest
import torch

from mbtransfer.collecting.goals import draw_goals
from mbtransfer.errors import UserError
from tasks.registry import make


def test_they_are_of_all_fixtures_and_still_to_be_done() -> None:
    scene = make("kitchen").make_scene(())
    obs = scene.observe(scene.sample_states(np.random.default_rng(0), 200))
    goals = draw_goals(scene.spec, obs, (), np.random.default_rng(1))
    assert {goal.fixture.name for goal in goals} == {fixture.name for fixture in scene.spec.fixtures}
    assert all(bool(goal.fresh(start)) for goal, start in zip(goals, torch.from_numpy(obs), strict=True))
    again = draw_goals(scene.spec, obs, (), np.random.default_rng(1))
    assert [goal.name for goal in again] == [goal.name for goal in goals]


def test_what_is_locked_is_left_alone() -> None:
    scene = make("kitchen").make_scene(("drawer",))
    obs = scene.observe(scene.sample_states(np.random.default_rng(0), 50))
    goals = draw_goals(scene.spec, obs, ("drawer",), np.random.default_rng(1))
    assert "drawer" not in {goal.fixture.name for goal in goals}
    everything = tuple(fixture.name for fixture in scene.spec.fixtures)
    with pytest.raises(UserError, match="not locked"):
        draw_goals(scene.spec, obs, everything, np.random.default_rng(1))
