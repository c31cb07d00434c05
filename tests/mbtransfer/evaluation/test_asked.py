"""What is asked for: by name, by split, made to measure, and once each."""

from __future__ import annotations

from pathlib import Path

import pytest

from mbtransfer.errors import UserError
from mbtransfer.evaluation.asked import find_asked, find_task
from mbtransfer.evaluation.runs import Run, make_runs
from mbtransfer.evaluation.setup import Setup
from tasks.recipe.model import Recipe
from tests.mbtransfer.evaluation.tiny import KITCHEN


def test_what_is_asked_twice_is_done_once() -> None:
    asked = find_asked(KITCHEN, tasks=["light_on", "light_on"], recipes=["tea", "tea"])
    assert [one.name for one in asked] == ["light_on", "tea"]
    assert make_runs(asked[:1], (0, 0), 1) == [Run("light_on", 0, 1)]


def test_splits() -> None:
    everything = find_asked(KITCHEN)
    recipes = [one for one in everything if isinstance(one, Recipe)]
    assert len(everything) - len(recipes) == len(KITCHEN.tasks) and len(recipes) >= 10
    assert find_asked(KITCHEN, split="all") == everything
    assert find_asked(KITCHEN, split="recipes") == recipes
    sources = find_asked(KITCHEN, split="source")
    assert sources and all(not isinstance(one, Recipe) and one.split == "source" for one in sources)
    assert find_asked(KITCHEN, tasks=["light_dim"], split="source")[0].name == "light_dim"


def test_unknown_words_are_answered_with_the_nearest_one() -> None:
    with pytest.raises(UserError, match="source"):
        find_asked(KITCHEN, split="sources")
    with pytest.raises(UserError, match="oracle"):
        Setup(dynamics="oracles", reward="true")


def test_two_recipes_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: tea\nsteps: [light_on]\n")
    with pytest.raises(UserError, match="tea"):
        find_asked(KITCHEN, recipes=["tea", str(tmp_path / "mine.yaml")])


@pytest.mark.parametrize("name", ["move(drawer, 0.2)", "move( drawer ,0.2 )"])
def test_tasks_made_to_measure_go_by_their_name(name: str) -> None:
    assert find_task(KITCHEN, name) == KITCHEN.move("drawer", 0.2)
    assert find_task(KITCHEN, "reach(drawer)") == KITCHEN.reach("drawer")
    assert find_task(KITCHEN, "reach(0, -0.2, 0.5)") == KITCHEN.reach([0.0, -0.2, 0.5])
