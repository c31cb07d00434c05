from __future__ import annotations

import ast
from pathlib import Path
from pkgutil import iter_modules

import pytest
import torch

import mbtransfer
from mbtransfer import load_task_file, make
from tasks.recipe import find_recipe

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PLACES = 50

pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="a wheel comes without examples")


@pytest.mark.parametrize("name", sorted(mbtransfer.PUBLIC))
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(mbtransfer, name).__doc__


def test_no_module_takes_the_place_of_a_public_name() -> None:
    assert not mbtransfer.PUBLIC.keys() & {module.name for module in iter_modules(mbtransfer.__path__)}


def test_the_task_file_asks_for_what_it_rewards() -> None:
    kitchen = make("kitchen")
    (task,) = load_task_file(EXAMPLES / "half_shut_drawer.py", kitchen)
    drawer = kitchen.spec.fixture("drawer")
    obs = torch.zeros(PLACES, kitchen.spec.obs_size)
    obs[:, drawer.position] = torch.linspace(drawer.low, drawer.high, PLACES)
    success = task.success(obs)
    assert 0 < int(success.sum()) < PLACES
    assert bool(success[task.reward(obs, torch.zeros(PLACES, kitchen.spec.action_size), obs).argmax()])


def test_the_recipe_is_one() -> None:
    recipe = find_recipe(str(EXAMPLES / "my_recipe.yaml"), make("kitchen"))
    assert recipe.name == "my_recipe"
    assert len(recipe.steps) >= 3


def test_the_program_imports_public_names_only() -> None:
    tree = ast.parse((EXAMPLES / "plan_new_task.py").read_text("utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert [node.module for node in imports] == ["mbtransfer"]
    assert {alias.name for node in imports for alias in node.names} <= set(mbtransfer.PUBLIC)
