from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from tasks.combinators import all_of
from tasks.environment import Environment
from tasks.errors import TaskError
from tasks.task import FAR, REACH_TOLERANCE, TOLERANCE, Task

Transitions = tuple[Tensor, Tensor, Tensor]


@pytest.fixture(params=["move", "reach handle", "reach point", "all of"])
def task(request: pytest.FixtureRequest, kitchen: Environment) -> Task:
    made = {
        "move": lambda: kitchen.move("drawer", 0.2),
        "reach handle": lambda: kitchen.reach("kettle_x"),
        "reach point": lambda: kitchen.reach((0.1, -0.2, 0.5)),
        "all of": lambda: all_of("both", [kitchen.move("tap", 0.6), kitchen.move("drawer", 0.2)]),
    }
    return made[request.param]()


def test_any_leading_dimensions(task: Task, transitions: Transitions) -> None:
    reward, success = task.reward(*transitions), task.success(transitions[0])
    assert (reward.shape, reward.dtype) == ((24,), torch.float32)
    assert (success.shape, success.dtype) == ((24,), torch.bool)
    for shape in [(2, 3, 4), (24, 1), (1, 24)]:
        shaped = tuple(x.reshape(*shape, -1) for x in transitions)
        torch.testing.assert_close(task.reward(*shaped), reward.reshape(shape))
        assert torch.equal(task.success(shaped[0]), success.reshape(shape))
    one = tuple(x[5] for x in transitions)
    torch.testing.assert_close(task.reward(*one), reward[5])
    assert task.success(one[0]).shape == ()


def test_tasks_change_neither_themselves_nor_their_input(task: Task, transitions: Transitions) -> None:
    before = [x.clone() for x in transitions]
    task.reward(*transitions)
    task.success(transitions[0])
    task.is_valid_start(transitions[0])
    assert all(map(torch.equal, transitions, before))
    with pytest.raises(dataclasses.FrozenInstanceError):
        task.name = "other"  # type: ignore[misc]
    assert hash(task) == hash(dataclasses.replace(task))


def test_a_fresh_start_is_never_a_success(task: Task, transitions: Transitions) -> None:
    obs = transitions[0]
    assert not bool((task.is_valid_start(obs) & task.success(obs)).any())


def placed(kitchen: Environment, obs: Tensor, **positions: float) -> Tensor:
    moved = obs.clone()
    for name, value in positions.items():
        moved[..., kitchen.spec.fixture(name).position] = value
    return moved


def test_a_move_succeeds_within_its_tolerance(kitchen: Environment, transitions: Transitions) -> None:
    task, span = kitchen.move("drawer", 0.15), kitchen.spec.fixture("drawer").span
    for gap, expected in [(0.0, True), (0.95 * TOLERANCE, True), (1.05 * TOLERANCE, False)]:
        for side in (-1, 1):
            obs = placed(kitchen, transitions[0], drawer=0.15 + side * gap * span)
            assert bool((task.success(obs) == expected).all())
    assert bool(task.is_valid_start(placed(kitchen, transitions[0], drawer=0.15 - 1.01 * FAR * span)).all())
    assert task.fixtures == (kitchen.spec.fixture("drawer"),)


def test_a_reward_rises_on_the_way(kitchen: Environment, transitions: Transitions) -> None:
    obs, action, _ = transitions
    task, handle = kitchen.move("drawer", 0.3), list(kitchen.spec.fixture("drawer").handle)
    far, near = placed(kitchen, obs, drawer=0.0), placed(kitchen, obs, drawer=0.1)
    assert bool((task.reward(obs, action, near) > task.reward(obs, action, far)).all())
    close = far.clone()
    close[:, handle] /= 2
    assert bool((task.reward(obs, action, close) > task.reward(obs, action, far)).all())


def test_a_reach_measures_the_distance(kitchen: Environment, transitions: Transitions) -> None:
    obs, action, _ = transitions
    moved = obs.clone()
    moved[:, list(kitchen.spec.hand)] = torch.tensor([0.1, -0.2, 0.5 + 0.9 * REACH_TOLERANCE])
    task = kitchen.reach((0.1, -0.2, 0.5))
    assert bool(task.success(moved).all())
    expected = torch.full((24,), 1 - 0.9 * REACH_TOLERANCE)
    torch.testing.assert_close(task.reward(obs, action, moved), expected)


def test_a_conjunction_needs_every_part(kitchen: Environment, transitions: Transitions) -> None:
    tap, drawer = kitchen.move("tap", 0.6), kitchen.move("drawer", 0.2)
    both, obs = all_of("both", [tap, drawer]), transitions[0]
    assert bool(both.success(placed(kitchen, obs, tap=0.6, drawer=0.2)).all())
    assert not bool(both.success(placed(kitchen, obs, tap=0.6, drawer=0.0)).any())
    assert both.fixtures == (*tap.fixtures, *drawer.fixtures)


def test_a_conjunction_draws_the_hand_to_what_is_left(kitchen: Environment, transitions: Transitions) -> None:
    obs, action, _ = transitions
    both = all_of("both", [kitchen.move("tap", 0.6), kitchen.move("drawer", 0.2)])
    for held, left in [("tap", "drawer"), ("drawer", "tap")]:
        target = {"tap": 0.6, "drawer": 0.2}[held]
        state = placed(kitchen, placed(kitchen, obs, tap=-0.6, drawer=0.0), **{held: target})
        closer = state.clone()
        closer[:, list(kitchen.spec.fixture(left).handle)] *= 0.5
        assert bool((both.reward(obs, action, closer) > both.reward(obs, action, state)).all())


def test_impossible_tasks_are_refused_in_one_line(kitchen: Environment) -> None:
    cases = [
        (lambda: kitchen.move("drawr", 0.1), "no fixture 'drawr'; did you mean 'drawer'"),
        (lambda: kitchen.move("drawer", 0.5), "drawer cannot move to 0.5; its range is 0 to 0.3 m"),
        (lambda: kitchen.move("drawer", float("nan")), "cannot move to nan"),
        (lambda: kitchen.reach("ketle_x"), "no fixture 'ketle_x'; did you mean 'kettle_x'"),
        (lambda: kitchen.reach((0.0, 0.0)), "three numbers"),
        (lambda: kitchen.reach((0.0, 0.0, float("inf"))), "three numbers"),
        (lambda: kitchen.reach((5.0, 0.0, 0.5)), "the hand cannot reach hand_x 5"),
        (lambda: all_of("none", []), "it needs parts"),
        (lambda: all_of("twice", [kitchen.move("tap", 0.6), kitchen.move("tap", 0.0)]), "different fixtures"),
        (lambda: kitchen.task("draw_open"), "no task 'draw_open'; did you mean 'drawer_open'"),
    ]
    for make, part in cases:
        with pytest.raises(TaskError) as caught:
            make()
        assert part in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_task_without_a_reward_says_so(transitions: Transitions) -> None:
    bare = Task("bare", "", "user")
    with pytest.raises(NotImplementedError, match="'bare' defines no reward"):
        bare.reward(*transitions)
    with pytest.raises(NotImplementedError, match="'bare' defines no success"):
        bare.success(transitions[0])
