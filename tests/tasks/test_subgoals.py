"""Subgoals by search: what locks what decides the order."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tasks.errors import TaskError
from tasks.subgoals import MAX_FACTS, Operator, StagedTask, SubgoalPlan, search
from tasks.task import OPEN_COST, Task


@dataclass(frozen=True)
class Is(Task):
    """A column is above a half; its reward is the column."""

    column: int

    def reward(
        self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b O"]
    ) -> Float[Tensor, "*b"]:
        return next_obs[..., self.column]

    def success(self, obs: Float[Tensor, "*b O"]) -> Bool[Tensor, "*b"]:
        return obs[..., self.column] > 0.5


LOCK, DRAWER = Is("lock", "", "source", 0), Is("drawer", "", "source", 1)
PRESS = Operator(LOCK, toggles=(0,))
OPEN = Operator(DRAWER, needs=((0, True),), makes=((1, True),))


def staged(goal: list[tuple[int, bool]], operators: tuple[Operator, ...] = (PRESS, OPEN)) -> StagedTask:
    plan = search(2, operators, goal)
    return StagedTask("both", "", "source", (LOCK, DRAWER), operators, plan)


def test_the_button_comes_before_the_drawer_and_again_after_it() -> None:
    task = staged([(0, False), (1, True)])
    assert task.steps(torch.tensor([0.0, 0.0])) == ["lock", "drawer", "lock"]
    assert task.steps(torch.tensor([1.0, 0.0])) == ["drawer", "lock"]
    assert task.steps(torch.tensor([0.0, 1.0])) == []


def test_the_reward_is_that_of_what_comes_next_less_what_is_left() -> None:
    task, none = staged([(0, False), (1, True)]), torch.zeros(4, 0)
    obs = torch.tensor([[0.2, 0.1], [0.9, 0.3], [0.8, 0.7], [0.4, 0.6]])
    given = task.reward(obs, none, obs)
    assert given.tolist() == pytest.approx([0.2 - 3 * OPEN_COST, 0.3 - 2 * OPEN_COST, 0.8 - OPEN_COST, 0.0])
    assert task.success(obs).tolist() == [False, False, False, True]
    assert task.reward(obs[None], none[None], obs[None]).shape == (1, 4)


def test_where_there_is_no_way_it_is_worse_than_the_longest() -> None:
    task = staged([(1, True)], (Operator(DRAWER, needs=((0, True),), makes=((1, True),)),))
    obs = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert [task.plan.left[int(k)] for k in task.shown(obs)] == [2, 1, 0]
    assert task.steps(obs[0]) == [] and not bool(task.success(obs)[0])


def test_lights_out_is_solved_from_every_position() -> None:
    """A row of four lights, each button changes its own and its neighbours': every plan, done, ends at the goal."""
    operators = tuple(
        Operator(Is(str(k), "", "source", k), toggles=tuple(j for j in (k - 1, k, k + 1) if 0 <= j < 4))
        for k in range(4)
    )
    plan: SubgoalPlan = search(4, operators, [(k, True) for k in range(4)])
    for begin in range(16):
        now, steps = begin, plan.steps(begin, operators)
        for step in steps:
            now = operators[step].after(now)
        assert now == 15 and len(steps) == plan.left[begin] == len(set(steps))


def test_too_many_facts_are_refused() -> None:
    with pytest.raises(TaskError, match="too many to search"):
        search(MAX_FACTS + 1, (), [])
