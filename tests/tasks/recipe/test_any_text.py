"""Whatever the text, the file or the name: a recipe, or one line that says why not."""

from __future__ import annotations

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import TaskError
from tasks.recipe import load_recipe, parse_recipe
from tests.tasks.recipe.flat import ENV

# Texts near to a recipe: its lines and YAML's signs joined at random; a recipe with a few characters changed;
# trees of any shape; and plain noise.
VALID = """name: a
steps:
  - door_open
  - task: lid_up
    timeout: 3
  - any_order:
      - move: lid
        to: 0.05
        optional: true
      - reach: [0, 0, 0]
"""
SIGNS = [
    "&a ",
    "*a",
    "<<: ",
    "!!int ",
    ">\n",
    "'",
    '"',
    "[",
    "]",
    "{",
    "}",
    ": ",
    "- ",
    "\t",
    "#",
    "---\n",
    "? ",
    "%Y",
]
FRAGMENTS = st.sampled_from(VALID.splitlines(keepends=True) + SIGNS)
EDITS = st.lists(st.tuples(st.integers(0, len(VALID)), st.integers(0, 3), FRAGMENTS), min_size=1, max_size=3)


def edited(edits: list[tuple[int, int, str]]) -> str:
    text = VALID
    for start, length, new in edits:
        text = text[:start] + new + text[start + length :]
    return text


WORDS = st.sampled_from(
    ["name", "steps", "task", "move", "to", "reach", "any_order", "lid", "lid_up", "hold"]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | WORDS
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
TEXTS = (
    st.lists(FRAGMENTS, max_size=12).map("".join)
    | EDITS.map(edited)
    | st.text(max_size=60)
    | TREES.map(lambda tree: yaml.safe_dump(tree))
    | TREES.map(lambda tree: yaml.safe_dump({"name": "a", "steps": [tree]}))
)


@given(TEXTS)
def test_only_task_errors_escape(text: str) -> None:
    try:
        recipe = parse_recipe(text, ENV, source="lunch.yaml")
    except TaskError as error:
        found = re.match(r"lunch\.yaml:(\d+):(\d+): ", str(error))
        assert found
        assert len(str(error).splitlines()) == 1 and str(error).isprintable()
        line, column = map(int, found.groups())
        assert 1 <= line <= len(text.splitlines()) + 1 and 1 <= column <= len(text) + 1
    else:
        assert recipe.steps and recipe.total_timeout > 0


@given(st.binary(max_size=80))
def test_only_task_errors_escape_from_a_file(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.yaml"
    path.write_bytes(data)
    with pytest.raises(TaskError, match=r":\d+: "):
        load_recipe(path, ENV)


@given(st.text(max_size=30))
def test_only_task_errors_escape_from_a_name(name: str) -> None:
    with pytest.raises(TaskError):
        load_recipe(name, ENV)
