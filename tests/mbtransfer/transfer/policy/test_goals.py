"""What goals are about, what a target's labels say of its goal, and success against distance."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from mbtransfer.model import Model
from mbtransfer.transfer.policy.goals import TOLERANCE, GoalSpace, success_by_distance


@pytest.fixture
def model(drifting: Callable[..., Model]) -> Model:
    return drifting()


@pytest.fixture
def space(model: Model) -> GoalSpace:
    return GoalSpace.of(model.dynamics.layout)


def test_the_hand_is_one_group_and_each_position_of_an_object_is_one(model: Model, space: GoalSpace) -> None:
    assert space.size == 13 and space.groups.shape == (11, 13)
    assert space.groups.sum(dim=1).tolist() == [3.0] + [1.0] * 10
    names = [model.dynamics.layout.columns[column] for column in space.columns.tolist()]
    assert names[:4] == ["hand_x", "hand_y", "hand_z", "microwave"] and names[-1] == "kettle_y"


@pytest.mark.parametrize("name", ["light_on", "kettle_front_left", "drawer_half", "left_knob_off"])
def test_labels_show_what_a_task_wants(model: Model, space: GoalSpace, name: str) -> None:
    task = model.environment.task(name)
    wanted, place = space.goal_of(model.label(task, 500)).chunk(2)
    parts = getattr(task, "parts", (task,))
    assert sorted(space.columns[wanted > 0].tolist()) == sorted(part.fixture.position for part in parts)
    at = dict(zip(space.columns.tolist(), (space.low + place * space.span).tolist(), strict=True))
    for part in parts:
        assert abs(at[part.fixture.position] - part.to) < TOLERANCE * part.fixture.span


def test_the_best_rewards_show_it_where_nothing_succeeded(model: Model, space: GoalSpace) -> None:
    labels = model.label(model.environment.reach([0.1, 0.0, 0.5]), 1000)
    labels.success[:] = False
    wanted, place = space.goal_of(labels).chunk(2)
    assert wanted.tolist() == [1.0] * 3 + [0.0] * 10
    at = (space.low + place * space.span)[:3]
    assert float((at - torch.tensor([0.1, 0.0, 0.5])).norm()) < 0.2, "there are few states close by"


def test_a_state_has_reached_its_own_goal_and_no_other(model: Model, space: GoalSpace) -> None:
    obs = model.pool.obs[:50]
    chosen = torch.zeros(50, len(space.groups))
    chosen[:, 0] = 1.0
    goal = space.towards(obs, chosen)
    assert bool(space.reached(obs, goal).all()) and float(space.way(obs, goal).max()) == 0.0
    moved = obs.clone()
    moved[:, space.columns[0]] += 0.3 * space.span[0]
    torch.testing.assert_close(space.gap(moved, goal), torch.full((50,), 0.3), atol=1e-3, rtol=0.0)
    moved[:, space.columns[5]] += 1.0  # of which the goal says nothing
    torch.testing.assert_close(space.gap(moved, goal), torch.full((50,), 0.3), atol=1e-3, rtol=0.0)


def test_the_way_is_that_from_the_hand_to_the_object(model: Model, space: GoalSpace) -> None:
    obs, body = model.pool.obs[:50], model.dynamics.layout.objects[2]
    chosen = torch.zeros(50, len(space.groups))
    chosen[:, 3] = 1.0  # the hand is the first group
    way = space.way(obs, space.towards(obs, chosen))
    torch.testing.assert_close(way, obs[:, list(body.vector)].norm(dim=1))


def test_success_by_distance_has_parts_of_equal_size() -> None:
    gaps = torch.arange(20.0).flip(0)
    parts = success_by_distance(gaps, gaps < 9)
    assert len(parts) == 10 and [share for _, _, share in parts] == [1.0] * 4 + [0.5] + [0.0] * 5
    assert parts[0][:2] == (0.0, 1.0) and parts[-1][:2] == (18.0, 19.0)
