"""What is asked for: by name, by split, made to measure, and once each."""

from __future__ import annotations

from pathlib import Path

import pytest

from mbtransfer.errors import UserError
from mbtransfer.evaluation.config import EvalConfig
from mbtransfer.evaluation.parallel import Run, make_runs
from mbtransfer.evaluation.task_selection import find_task, select_tasks
from tasks.recipe.recipe import Recipe
from tests.mbtransfer.evaluation.tiny import KITCHEN


def test_what_is_asked_twice_is_done_once() -> None:
    asked = select_tasks(KITCHEN, tasks=["light_on", "light_on"], recipes=["tea", "tea"])
    assert [one.name for one in asked] == ["light_on", "tea"]
    assert make_runs(asked[:1], (0, 0), 1) == [Run("light_on", 0, 1)]


def test_splits() -> None:
    everything = select_tasks(KITCHEN)
    recipes = [one for one in everything if isinstance(one, Recipe)]
    assert len(everything) - len(recipes) == len(KITCHEN.tasks) and len(recipes) >= 10
    assert select_tasks(KITCHEN, split="all") == everything
    assert select_tasks(KITCHEN, split="recipes") == recipes
    sources = select_tasks(KITCHEN, split="source")
    assert sources and all(not isinstance(one, Recipe) and one.split == "source" for one in sources)
    assert select_tasks(KITCHEN, tasks=["light_dim"], split="source")[0].name == "light_dim"


def test_unknown_words_are_answered_with_the_nearest_one() -> None:
    with pytest.raises(UserError, match="source"):
        select_tasks(KITCHEN, split="sources")
    with pytest.raises(UserError, match="oracle"):
        EvalConfig(dynamics="oracles", reward="true")


def test_two_recipes_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: tea\nsteps: [light_on]\n")
    with pytest.raises(UserError, match="tea"):
        select_tasks(KITCHEN, recipes=["tea", str(tmp_path / "mine.yaml")])


@pytest.mark.parametrize("name", ["move(drawer, 0.2)", "move( drawer ,0.2 )"])
def test_tasks_made_to_measure_go_by_their_name(name: str) -> None:
    assert find_task(KITCHEN, name) == KITCHEN.move("drawer", 0.2)
    assert find_task(KITCHEN, "reach(drawer)") == KITCHEN.reach("drawer")
    assert find_task(KITCHEN, "reach(0, -0.2, 0.5)") == KITCHEN.reach([0.0, -0.2, 0.5])
