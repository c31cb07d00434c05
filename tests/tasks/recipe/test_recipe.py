"""Recipes as records: judged step by step, immutable, and checked when they are written in Python."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError

import pytest
import torch

from tasks.combinators import AllOf
from tasks.errors import TaskError
from tasks.recipe import Group, Recipe, RecipeStep
from tasks.task import move
from tests.tasks.recipe.flat import BOTH, SPEC, UP, read


def test_success_is_a_column_per_step() -> None:
    recipe = read(" - door_open\n - lid_up\n - all_open")
    obs = torch.zeros(4, 2, SPEC.obs_size)
    obs[..., 3] = 1.4
    obs[1:, :, 4] = 0.1
    assert recipe.success(obs).shape == (4, 2, 3)
    assert recipe.success(obs)[:2, 0].tolist() == [[True, False, False], [True, True, True]]


def test_records_are_immutable() -> None:
    recipe = read(" - door_open")
    with pytest.raises(FrozenInstanceError):
        recipe.name = "dinner"  # type: ignore[misc]
    assert isinstance(recipe.groups, tuple) and isinstance(recipe.steps, tuple)
    assert hash(recipe) == hash(read(" - door_open"))


@pytest.mark.parametrize(
    ("numbers", "part"),
    [
        ({"timeout": 0}, "timeout >= 1"),
        ({"timeout": 5, "retries": -1}, "retries >= 0"),
        ({"timeout": 5, "hold": 0}, "hold >= 1"),
        ({"timeout": 5, "hold": 6}, "from 1 to 5"),
    ],
)
def test_steps_written_in_python_are_checked_too(numbers: dict[str, int], part: str) -> None:
    with pytest.raises(TaskError, match=re.escape(part)):
        RecipeStep(UP, "lid_up", **numbers)


def test_recipes_written_in_python_are_checked_too() -> None:
    up, down = RecipeStep(UP, "up", 60), RecipeStep(move(SPEC, "lid", 0.0), "down", 60)
    maybe = RecipeStep(UP, "up", 60, optional=True)
    for make, part in [
        (lambda: Group(()), "empty"),
        (lambda: Group((up, down), any_order=True), "lid at 0.1 and at 0"),
        (lambda: Recipe("x", "", ()), "0 steps"),
        (lambda: Recipe("x", "", (Group((maybe,)),)), "only optional"),
        (lambda: Recipe("x", "", (Group((up,)),), grace=-1), "grace"),
    ]:
        with pytest.raises(TaskError, match=part):
            make()
    assert isinstance(BOTH, AllOf) and RecipeStep(BOTH, "both", 60).fixtures == {"door", "lid"}
