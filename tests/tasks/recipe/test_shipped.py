"""The kitchen's recipes: all of them load, differ, use what recipes can do, and touch every fixture."""

from pathlib import Path

import pytest
import yaml

from tasks.errors import TaskError
from tasks.recipe import Recipe, RecipeEnvironment, RecipeProgress, find_recipe, load_recipe, shipped_recipes
from tasks.registry import make

NAMES = tuple(shipped_recipes("kitchen"))


@pytest.fixture(scope="module")
def kitchen() -> RecipeEnvironment:
    return make("kitchen")


@pytest.fixture(scope="module")
def recipes(kitchen: RecipeEnvironment) -> dict[str, Recipe]:
    return {name: find_recipe(name, kitchen) for name in NAMES}


def test_there_are_at_least_ten() -> None:
    assert len(NAMES) >= 12 and list(NAMES) == sorted(NAMES)
    assert all(path.is_file() for path in shipped_recipes("kitchen").values())


@pytest.mark.parametrize("name", NAMES)
def test_each_one(name: str, recipes: dict[str, Recipe]) -> None:
    recipe = recipes[name]
    assert recipe.name == name and recipe.description
    assert 3 <= len(recipe.steps) <= 6 and sum(not step.optional for step in recipe.steps) >= 3
    progress = RecipeProgress(recipe)
    for _ in range(recipe.total_timeout):
        progress.update([True] * len(recipe.steps))
    assert progress.finished


def test_no_two_ask_for_the_same(recipes: dict[str, Recipe]) -> None:
    assert len({recipe.groups for recipe in recipes.values()}) == len(recipes)


def test_together_they_use_all_there_is(kitchen: RecipeEnvironment, recipes: dict[str, Recipe]) -> None:
    steps = [step for recipe in recipes.values() for step in recipe.steps]
    assert {name for step in steps for name in step.fixtures} == {
        fixture.name for fixture in kitchen.spec.fixtures
    }
    assert {type(step.task).__name__ for step in steps} == {"Move", "Reach", "AllOf"}
    assert any(step.optional for step in steps) and any(step.retries for step in steps)
    assert any(group.any_order for recipe in recipes.values() for group in recipe.groups)
    assert any(step.task.name not in kitchen.tasks for step in steps), "parametric steps"
    texts = [path.read_text("utf-8") for path in shipped_recipes("kitchen").values()]
    assert all(isinstance(yaml.safe_load(text), dict) for text in texts), "plain YAML for other tools, too"


def test_the_nearest_name_is_given(kitchen: RecipeEnvironment) -> None:
    with pytest.raises(TaskError, match=r"no recipe 'breakfst' ships with kitchen.*'breakfast'"):
        find_recipe("breakfst", kitchen)


@pytest.mark.parametrize("name", ["x/y", "nope.yaml", "", "a\0b", "x" * 5000, ".", "\n", Path("breakfast")])
def test_what_is_neither_name_nor_file(name: str | Path, kitchen: RecipeEnvironment) -> None:
    with pytest.raises(TaskError) as caught:
        find_recipe(name, kitchen)
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_is_found_by_its_path(
    kitchen: RecipeEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine"
    path.write_text("name: mine\nsteps: [light_on]\n", "utf-8")
    assert find_recipe(path, kitchen) == find_recipe(str(path), kitchen) == load_recipe(path, kitchen)
    monkeypatch.chdir(tmp_path)
    assert find_recipe("mine", kitchen).name == "mine"


def test_environments_without_recipes_have_none() -> None:
    assert shipped_recipes("nowhere") == {} and shipped_recipes("../tasks/kitchen") == {}
