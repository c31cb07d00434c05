"""Recipes are read as written, and every mistake is one line with file, line and the way out."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import FrozenInstanceError, dataclass, field
from pathlib import Path
from types import MappingProxyType

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import TaskError
from tasks.recipe import (
    DEFAULT_HOLD,
    Group,
    Recipe,
    RecipeEnvironment,
    RecipeStep,
    load_recipe,
    parse_recipe,
)
from tasks.spec import EnvSpec, Fixture, Variable
from tasks.task import AllOf, Move, Reach, Task, all_of, move, reach


def small_spec() -> EnvSpec:
    names = ("hand_x", "hand_y", "hand_z", "door", "lid", "door_velocity", "lid_velocity", "dx", "dy", "dz")
    fixtures = (
        Fixture("door", 3, 5, (7, 8, 9), 0.0, 1.5, "rad"),
        Fixture("lid", 4, 6, (7, 8, 9), -0.1, 0.1, "m"),
    )
    columns = tuple(Variable(name, "m", -2.0, 2.0) for name in names)
    return EnvSpec("flat", columns, columns[:3], fixtures, 0.1, 60, (0, 1, 2), (5, 5, 5))


SPEC = small_spec()
OPEN, SHUT = move(SPEC, "door", 1.4, name="door_open"), move(SPEC, "door", 0.0, name="door_close")
UP = move(SPEC, "lid", 0.1, name="lid_up")
BOTH = all_of("all_open", [OPEN, UP])
NAMED: Mapping[str, Task] = MappingProxyType({task.name: task for task in (OPEN, SHUT, UP, BOTH)})


@dataclass(frozen=True)
class Flat:
    spec: EnvSpec = SPEC
    tasks: Mapping[str, Task] = field(default_factory=lambda: NAMED)

    def move(self, fixture: str, to: float) -> Move:
        return move(self.spec, fixture, to)

    def reach(self, target: str | Sequence[float]) -> Reach:
        return reach(self.spec, target)


ENV = Flat()


def read(steps: str, head: str = "name: lunch") -> Recipe:
    return parse_recipe(f"{head}\nsteps:\n{steps}", ENV, source="lunch.yaml")


def complaint(text: str) -> str:
    with pytest.raises(TaskError) as caught:
        parse_recipe(text, ENV, source="lunch.yaml")
    return str(caught.value)


def test_every_key_arrives() -> None:
    recipe = parse_recipe(
        """
name: lunch
description: >
  Open what there is
  and look.
grace: 5
steps:
  - door_open                 # short form
  - move: lid
    to: -5e-2
    label: a crack
    timeout: 20
    retries: 2
  - any_order:
      - task: door_close
        optional: true
        guard: no
      - task: lid_up
        hold: 4
  - reach: lid
  - reach: [0.1, 0, +1.5]
""",
        ENV,
    )
    assert (recipe.name, recipe.description, recipe.grace) == ("lunch", "Open what there is and look.", 5)
    assert [group.any_order for group in recipe.groups] == [False, False, True, False, False]
    assert [step.label for step in recipe.steps] == [
        "door_open", "a crack", "door_close", "lid_up", "reach(lid)", "reach(0.1, 0, 1.5)",
    ]  # fmt: skip
    assert recipe.steps[0] == RecipeStep(OPEN, "door_open", 60, hold=DEFAULT_HOLD)
    assert recipe.steps[1] == RecipeStep(move(SPEC, "lid", -0.05), "a crack", 20, retries=2)
    assert recipe.steps[2] == RecipeStep(SHUT, "door_close", 60, optional=True, guard=False)
    assert recipe.steps[3].hold == 4
    assert recipe.steps[4].task == reach(SPEC, "lid") and not recipe.steps[4].guard
    assert recipe.steps[5].task == reach(SPEC, (0.1, 0.0, 1.5))
    assert recipe.total_timeout == 60 * 5 + 20 * 3 + 5


def test_a_short_timeout_shortens_the_default_hold() -> None:
    assert read(" - {task: lid_up, timeout: 2}").steps[0].hold == 2


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


def test_the_same_step_may_come_again_later_and_agreeing_steps_in_any_order() -> None:
    assert len(read(" - door_open\n - door_close\n - door_open").steps) == 3
    assert len(read(" - any_order: [door_open, all_open]").steps) == 2


def test_environment_protocol() -> None:
    assert isinstance(ENV, RecipeEnvironment)


HEAD = "name: lunch\nsteps:\n"
MISTAKES = [
    # text, line, what the message must hold
    ("", 1, ["empty", "'name'", "'steps'"]),
    ("# nothing\n", 1, ["empty"]),
    ("just text", 1, ["'key: value'", "name, description, grace, steps"]),
    ("- door_open\n", 1, ["not a list"]),
    ("steps: [door_open]\n", 1, ["no 'name'"]),
    ("\nname: lunch\n", 2, ["no 'steps'"]),
    ("name: lunch\nstep: [door_open]\n", 2, ["no key 'step'", "'steps'"]),
    ("name: lunch\nname: x\nsteps: [door_open]\n", 2, ["'name' twice", "line 1"]),
    ("name: [a]\nsteps: [door_open]\n", 1, ["name must be a text", "a list"]),
    ("name:\nsteps: [door_open]\n", 1, ["name must be a text", "nothing"]),
    ("name: ../../etc\nsteps: [door_open]\n", 1, ["'../../etc'", "letters, digits"]),
    (f"name: {'a' * 65}\nsteps: [door_open]\n", 1, ["1 to 64"]),
    ("name: lid_up\nsteps: [door_open]\n", 1, ["name of a task"]),
    ("name: lunch\ndescription: {a: b}\nsteps: [door_open]\n", 2, ["description must be a text"]),
    ("name: lunch\ngrace: -1\nsteps: [door_open]\n", 2, ["grace is -1", "from 0"]),
    ("name: lunch\nsteps:\n", 2, ["steps must be a list", "nothing"]),
    ("name: lunch\nsteps: []\n", 2, ["steps is an empty list"]),
    ("name: lunch\nsteps: door_open\n", 2, ["steps must be a list", "'door_open'"]),
    (HEAD + "  - door_opn\n", 3, ["no task 'door_opn'", "'door_open'"]),
    (HEAD + "  - lid_up\n  - task: zzz\n", 4, ["no task 'zzz'", "door_open, door_close, lid_up"]),
    (HEAD + "  - task: [lid_up]\n", 3, ["task must be a text", "a list"]),
    (HEAD + "  -\n", 3, ["a step must be a text", "nothing"]),
    (HEAD + "  - [lid_up]\n", 3, ["a step must be", "a list"]),
    (HEAD + "  - {}\n", 3, ["nothing to do", "'reach'"]),
    (HEAD + "  - task: lid_up\n    retrys: 1\n", 4, ["no key 'retrys'", "'retries'"]),
    (HEAD + "  - task: lid_up\n    task: lid_up\n", 4, ["'task' twice", "line 3"]),
    (HEAD + "  - task: lid_up\n    move: lid\n", 3, ["'task' and 'move'"]),
    (HEAD + "  - task: lid_up\n    to: 1\n", 4, ["'to' goes with 'move'", "'task'"]),
    (HEAD + "  - to: 1\n", 3, ["nothing to do"]),
    (HEAD + "  - lid_up:\n      timeout: 3\n", 3, ["no key 'lid_up'"]),
    (HEAD + "  - ? [a]\n    : b\n", 3, ["no key a list"]),
    (HEAD + "  - move: dor\n    to: 1\n", 3, ["no fixture 'dor'", "'door'"]),
    (HEAD + "  - move: [door]\n    to: 1\n", 3, ["move must name a fixture"]),
    (HEAD + "  - move: door\n", 3, ["no 'to'", "0 to 1.5 rad"]),
    (HEAD + "  - move: door\n    to: 2\n", 4, ["2", "0 to 1.5 rad"]),
    (HEAD + "  - move: door\n    to: 1e300\n", 4, ["0 to 1.5 rad"]),
    (HEAD + "  - move: door\n    to: 1e999\n", 4, ["finite", "0 to 1.5 rad"]),
    (HEAD + "  - move: door\n    to: .nan\n", 4, ["finite", "'.nan'"]),
    (HEAD + "  - move: door\n    to: .inf\n", 4, ["finite", "'.inf'"]),
    (HEAD + "  - move: door\n    to: '1'\n", 4, ["the text in quotes '1'"]),
    (HEAD + "  - move: door\n    to: open\n", 4, ["'open'", "0 to 1.5 rad"]),
    (HEAD + "  - move: door\n    to: yes\n", 4, ["'yes'"]),
    (HEAD + "  - move: door\n    to: 1:30\n", 4, ["'1:30'"]),
    (HEAD + "  - move: door\n    to: [1]\n", 4, ["a list"]),
    (HEAD + "  - reach: dor\n", 3, ["no fixture 'dor'", "'door'"]),
    (HEAD + "  - reach: {a: 1}\n", 3, ["reach must name a fixture"]),
    (HEAD + "  - reach: [0, 1]\n", 3, ["2 values", "[x, y, z]"]),
    (HEAD + "  - reach: [0, 1, a]\n", 3, ["coordinate", "'a'"]),
    (HEAD + "  - reach: [0, 9, 0]\n", 3, ["hand_y", "-2 to 2 m"]),
    (HEAD + "  - reach: lid\n    guard: true\n", 4, ["cannot stay finished"]),
    (HEAD + "  - task: lid_up\n    timeout: 0\n", 4, ["timeout is 0", "from 1"]),
    (HEAD + "  - task: lid_up\n    timeout: -3\n", 4, ["timeout is -3"]),
    (HEAD + "  - task: lid_up\n    timeout: 1.5\n", 4, ["whole number", "'1.5'"]),
    (HEAD + f"  - task: lid_up\n    timeout: {'9' * 5000}\n", 4, ["whole number", "..."]),
    (HEAD + "  - task: lid_up\n    retries: -1\n", 4, ["retries is -1", "from 0"]),
    (HEAD + "  - task: lid_up\n    optional: maybe\n", 4, ["true or false", "'maybe'"]),
    (HEAD + "  - task: lid_up\n    optional: 1\n", 4, ["true or false", "'1'"]),
    (HEAD + "  - task: lid_up\n    optional: 'true'\n", 4, ["true or false", "in quotes"]),
    (HEAD + "  - task: lid_up\n    hold: 0\n", 4, ["hold is 0"]),
    (HEAD + "  - task: lid_up\n    timeout: 5\n    hold: 6\n", 5, ["hold is 6", "from 1 to 5"]),
    (HEAD + "  - task: lid_up\n    label: ''\n", 4, ["label", "1 to 80"]),
    (HEAD + "  - task: lid_up\n    optional: true\n", 2, ["only optional steps"]),
    (HEAD + "  - any_order: []\n", 3, ["any_order is an empty list"]),
    (HEAD + "  - any_order: lid_up\n", 3, ["any_order must be a list"]),
    (HEAD + "  - any_order: [lid_up]\n    timeout: 3\n", 4, ["no key 'timeout'", "any_order"]),
    (HEAD + "  - any_order:\n      - any_order: [lid_up]\n", 4, ["cannot hold another"]),
    (
        HEAD + "  - any_order:\n      - door_open\n      - lid_up\n      - door_close\n",
        6,
        ["'door_open'", "'door_close'", "door at 1.4 and at 0"],
    ),
    (
        HEAD + "  - any_order:\n      - all_open\n      - move: lid\n        to: 0\n",
        5,
        ["lid at 0.1 and at 0"],
    ),
    (HEAD + "  - any_order: [lid_up, lid_up]\n", 3, ["ask for the same"]),
    (HEAD + "  - any_order: [lid_up, {move: lid, to: 0.1}]\n", 3, ["ask for the same"]),
    (HEAD + "  - any_order: [{reach: lid}, {reach: lid}]\n", 3, ["ask for the same"]),
    (HEAD + "  - lid_up\n" * 101, 2, ["more than 100 steps"]),
    # what YAML itself brings
    (HEAD + "  - &a lid_up\n  - *a\n", 3, ["anchors", "not allowed"]),
    ("a: &a [x]\nb: [*a, *a]\n", 1, ["anchors"]),
    (HEAD + "  - *a\n", 3, ["aliases"]),
    (HEAD + "  - !!python/object/apply:os.system [ls]\n", 3, ["tags", "python/object"]),
    (HEAD + "  - !mine lid_up\n", 3, ["tags"]),
    (HEAD + "  - <<: {task: lid_up}\n", 3, ["no key '<<'"]),
    (HEAD + "  - lid_up\n---\nname: b\n", 4, ["second document"]),
    (HEAD + "\t- lid_up\n", 3, ["not valid YAML"]),
    (HEAD + "  - task: lid_up\n   to: 3\n", 4, ["not valid YAML"]),
    (HEAD + "  - 'lid_up\n", 4, ["not valid YAML"]),
    (HEAD + "  - lid_up\x00\n", 3, ["character 0x0"]),
    (HEAD + "  - lid_up\ud800\n", 3, ["character"]),
    ("[" * 30_000, 1, ["nested more than"]),
    ("{a: " * 9_000, 1, ["nested more than"]),
    (HEAD + "  - lid_up\n" * 5_000, 1998, ["more than 2000 values"]),
    (HEAD + "  # " + "x" * 70_000, 1, ["longer than"]),
]


@pytest.mark.parametrize(("text", "line", "parts"), MISTAKES, ids=lambda value: repr(value)[:40])
def test_a_mistake_is_one_line(text: str, line: int, parts: list[str]) -> None:
    message = complaint(text)
    assert message.startswith(f"lunch.yaml:{line}: "), message
    assert len(message.splitlines()) == 1 and message.isprintable() and len(message) < 1200
    for part in parts:
        assert part in message


def test_carriage_returns_count_as_one_line_end() -> None:
    text = (HEAD + "  - lid_up\n  - nope\n").replace("\n", "\r\n")
    assert complaint(text).startswith("lunch.yaml:4: ")


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "lunch.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + (HEAD + "  - lid_up\n").encode())
    assert load_recipe(path, ENV) == load_recipe(str(path), ENV) == load_recipe(HEAD + "  - lid_up\n", ENV)


def file_complaint(path: Path) -> str:
    with pytest.raises(TaskError) as caught:
        load_recipe(path, ENV)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "lunch.yaml"
    assert f"{path}:1: does not exist" in file_complaint(path)
    assert ":1: is not a file" in file_complaint(tmp_path)
    assert ":1: is not a file" in file_complaint(Path(os.devnull))
    assert ":1: cannot be read (File name too long)" in file_complaint(tmp_path / ("x" * 5000))
    assert ":1: does not exist" in file_complaint(tmp_path / "a\nb\0c")
    path.write_bytes(HEAD.encode() + b"  - caf\xe9\n")
    assert f"{path}:3: not UTF-8" in file_complaint(path)
    path.write_bytes(HEAD.encode("utf-16"))
    assert f"{path}:1: not UTF-8" in file_complaint(path)
    path.write_bytes(b"#" * 65_537)
    assert f"{path}:1: larger than 64 KiB" in file_complaint(path)


def test_a_named_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    assert "is not a file" in file_complaint(tmp_path / "pipe.yaml")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "lunch.yaml"
    path.touch(mode=0)
    assert "cannot be read" in file_complaint(path)


def test_a_failing_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, mode: str) -> None:
        raise OSError(5, "Input/output error")

    path = tmp_path / "lunch.yaml"
    path.touch()
    monkeypatch.setattr(Path, "open", refuse)
    assert "cannot be read (Input/output error)" in file_complaint(path)


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
        assert re.match(r"lunch\.yaml:\d+: ", str(error))
        assert len(str(error).splitlines()) == 1 and str(error).isprintable()
        last = len(text.splitlines()) + 1
        assert 1 <= int(str(error).split(":")[1]) <= last
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
