"""A typed recipe is read, or its mistake is shown at its line."""

from __future__ import annotations

import pytest

from mbtransfer.live.recipe_text import Mistake, read_recipe
from tasks.recipe.recipe import Recipe
from tasks.registry import make

GOOD = "name: mine\nsteps:\n  - drawer_open\n"


def test_a_good_one_is_read() -> None:
    recipe = read_recipe(GOOD, make("kitchen"))
    assert isinstance(recipe, Recipe) and recipe.name == "mine"


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        (GOOD.replace("open", "opn"), 3, 5, "did you mean 'drawer_open'"),
        ("name: mine\nsteps:\n  - move: drawer\n    to: 5\n", 4, None, "range"),
        ("name: mine\n steps:\n", 2, None, "not valid YAML"),
        ("", 1, 1, "the recipe is empty"),
    ],
)
def test_a_mistake_is_shown_at_its_line(text: str, line: int, column: int | None, words: str) -> None:
    found = read_recipe(text, make("kitchen"))
    assert isinstance(found, Mistake) and found.line == line and words in found.message
    assert column in (None, found.column)
    shown = found.shown_in(text).splitlines()
    if text:
        assert shown[-2] == f"{line} | {text.splitlines()[line - 1]}"
        assert shown[-1].index("^") == len(f"{line} | ") + found.column - 1
