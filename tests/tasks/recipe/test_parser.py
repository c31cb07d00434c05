"""Recipes are read as written."""

from __future__ import annotations

from tasks.recipe import DEFAULT_HOLD, RecipeEnvironment, RecipeStep, parse_recipe
from tasks.task import move, reach
from tests.tasks.recipe.flat import ENV, HEAD, OPEN, SHUT, SPEC, complaint, read


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
    assert recipe.total_timeout == 60 * 5 + 1 + 20 * 3 + 5


def test_a_long_hold_comes_on_top_of_the_default_timeout() -> None:
    assert read(" - {task: lid_up, hold: 23}").steps[0].timeout == 60 + 20
    assert read(" - {task: lid_up, hold: 23, timeout: 40}").steps[0].timeout == 40


def test_a_short_timeout_shortens_the_default_hold() -> None:
    assert read(" - {task: lid_up, timeout: 2}").steps[0].hold == 2


def test_the_same_step_may_come_again_later_and_agreeing_steps_in_any_order() -> None:
    assert len(read(" - door_open\n - door_close\n - door_open").steps) == 3
    assert len(read(" - any_order: [door_open, all_open]").steps) == 2


def test_environment_protocol() -> None:
    assert isinstance(ENV, RecipeEnvironment)


def test_carriage_returns_count_as_one_line_end() -> None:
    text = (HEAD + "  - lid_up\n  - nope\n").replace("\n", "\r\n")
    assert complaint(text).startswith("lunch.yaml:4:5: ")
