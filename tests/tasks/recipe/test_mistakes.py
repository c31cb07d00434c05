"""Every mistake in a recipe is one line with file, line, column and the way out."""

from __future__ import annotations

import re

import pytest

from tests.tasks.recipe.flat import HEAD, complaint

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
    ("name: [a]\nsteps: [door_open]\n", 1, ["name should be a valid string", "a list"]),
    ("name:\nsteps: [door_open]\n", 1, ["name should be a valid string", "nothing"]),
    ("name: ../../etc\nsteps: [door_open]\n", 1, ["'../../etc'", "letters, digits"]),
    (f"name: {'a' * 65}\nsteps: [door_open]\n", 1, ["name should have at most 64"]),
    ("name: lid_up\nsteps: [door_open]\n", 1, ["name of a task"]),
    (
        "name: lunch\ndescription: {a: b}\nsteps: [door_open]\n",
        2,
        ["description should be a valid string", "'key: value' lines"],
    ),
    ("name: lunch\ngrace: -1\nsteps: [door_open]\n", 2, ["grace should be", "equal to 0", "'-1'"]),
    ("name: lunch\nsteps:\n", 2, ["steps should be a valid list", "nothing"]),
    ("name: lunch\nsteps: []\n", 2, ["steps should have at least 1 item"]),
    ("name: lunch\nsteps: door_open\n", 2, ["steps should be a valid list", "'door_open'"]),
    (HEAD + "  - door_opn\n", 3, ["no task 'door_opn'", "'door_open'"]),
    (HEAD + "  - lid_up\n  - task: zzz\n", 4, ["no task 'zzz'", "door_open, door_close, lid_up"]),
    (HEAD + "  - task: [lid_up]\n", 3, ["task should be a valid string", "a list"]),
    (HEAD + "  -\n", 3, ["a step must be", "nothing"]),
    (HEAD + "  - [lid_up]\n", 3, ["a step must be", "a list"]),
    (HEAD + "  - {}\n", 3, ["nothing to do", "'reach'"]),
    (HEAD + "  - task: lid_up\n    retrys: 1\n", 4, ["no key 'retrys'", "'retries'"]),
    (HEAD + "  - task: lid_up\n    task: lid_up\n", 4, ["'task' twice", "line 3"]),
    (HEAD + "  - task: lid_up\n    move: lid\n", 3, ["'task' and 'move'"]),
    (HEAD + "  - task: lid_up\n    to: 1\n", 4, ["'to' goes with 'move'", "drop 'to'"]),
    (HEAD + "  - to: 1\n", 3, ["'to' goes with 'move'", "name the fixture"]),
    (HEAD + "  - lid_up:\n      timeout: 3\n", 3, ["no key 'lid_up'"]),
    (HEAD + "  - ? [a]\n    : b\n", 3, ["a key must be a text", "a list"]),
    (HEAD + "  - move: dor\n    to: 1\n", 3, ["no fixture 'dor'", "'door'"]),
    (HEAD + "  - move: [door]\n    to: 1\n", 3, ["move should be a valid string", "a list"]),
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
    (HEAD + "  - reach: {a: 1}\n", 3, ["reach should be a fixture", "'key: value' lines"]),
    (HEAD + "  - reach: [0, 1]\n", 3, ["a list of 2", "[x, y, z]"]),
    (HEAD + "  - reach: [0, 1, a]\n", 3, ["reach should be a finite number", "'a'"]),
    (HEAD + "  - reach: [0, 9, 0]\n", 3, ["hand_y", "-2 to 2 m"]),
    (HEAD + "  - reach: lid\n    guard: true\n", 4, ["cannot stay finished"]),
    (HEAD + "  - task: lid_up\n    timeout: 0\n", 4, ["timeout should be", "equal to 1", "'0'"]),
    (HEAD + "  - task: lid_up\n    timeout: -3\n", 4, ["timeout should be", "'-3'"]),
    (HEAD + "  - task: lid_up\n    timeout: 1.5\n", 4, ["whole number", "'1.5'"]),
    (HEAD + f"  - task: lid_up\n    timeout: {'9' * 5000}\n", 4, ["whole number", "..."]),
    (HEAD + "  - task: lid_up\n    retries: -1\n", 4, ["retries should be", "equal to 0", "'-1'"]),
    (HEAD + "  - task: lid_up\n    optional: maybe\n", 4, ["true or false", "'maybe'"]),
    (HEAD + "  - task: lid_up\n    optional: 1\n", 4, ["true or false", "'1'"]),
    (HEAD + "  - task: lid_up\n    optional: 'true'\n", 4, ["true or false", "in quotes"]),
    (HEAD + "  - task: lid_up\n    hold: 0\n", 4, ["hold should be", "equal to 1", "'0'"]),
    (HEAD + "  - task: lid_up\n    timeout: 5\n    hold: 6\n", 5, ["hold for 6", "from 1 to 5"]),
    (HEAD + "  - task: lid_up\n    timeout: 100001\n", 4, ["timeout should be", "100000", "'100001'"]),
    (HEAD + "  - task: lid_up\n    timeout:\n", 4, ["whole number", "nothing"]),
    (HEAD + "  - task: lid_up\n    guard:\n", 4, ["true or false", "nothing"]),
    (HEAD + "  - task: lid_up\n    to:\n", 4, ["'to' goes with 'move'"]),
    (HEAD + "  - task:\n    move: lid\n", 3, ["task should be a valid string", "nothing"]),
    (HEAD + f"  - task: lid_up\n    label: {'x' * 81}\n", 4, ["label should have at most 80"]),
    (f"name: lunch\ndescription: {'x' * 1001}\nsteps: [lid_up]\n", 2, ["description should have at most"]),
    (HEAD + "  - task: lid_up\n    label: ''\n", 4, ["label should have at least 1 character"]),
    (HEAD + "  - task: lid_up\n    optional: true\n", 2, ["only optional steps"]),
    (HEAD + "  - any_order: []\n", 3, ["any_order should have at least 1 item"]),
    (HEAD + "  - any_order: lid_up\n", 3, ["any_order should be a valid list", "'lid_up'"]),
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
    (HEAD + "  - lid_up\n" * 101, 2, ["101 steps", "1 to 100"]),
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
    assert re.match(rf"lunch\.yaml:{line}:\d+: ", message), message
    assert len(message.splitlines()) == 1 and message.isprintable() and len(message) < 1200
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("- door_open\n", "1:1"),
        ("name: lunch\nstep: [door_open]\n", "2:1"),
        ("name: lunch\nsteps: [door_open, zzz]\n", "2:20"),  # the second item
        ("name: lunch\nsteps: [lid_up, {task: lid_up, retrys: 1}]\n", "2:32"),  # the key
        (HEAD + "  - any_order:\n      - lid_up\n      - {move: lid, timeout: 0}\n", "5:21"),
        (HEAD + "  - any_order: [lid_up, door_open, lid_up]\n", "3:36"),
        (HEAD + "  - move: door\n    to: 2\n", "4:5"),
        (HEAD + "  - reach: [0, 1, a]\n", "3:19"),
        (HEAD + "  - &a lid_up\n", "3:5"),
        (HEAD + "  - lid_up\x00\n", "3:11"),
        (HEAD + "  - {task: lid_up, 'task': lid_up}\n", "3:20"),
    ],
)
def test_the_column_is_that_of_the_key_or_item(text: str, place: str) -> None:
    assert complaint(text).startswith(f"lunch.yaml:{place}: ")
