"""A recipe's progress: order, holds, time, and the forms in which success is told."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tasks.recipe import Group, Recipe, RecipeProgress, StepState
from tests.tasks.recipe.row import feed, in_order, step


def test_steps_are_done_in_order() -> None:
    progress = RecipeProgress(in_order(step("a"), step("b"), step("c")))
    assert progress.active == (0,) and progress.guarded == ()
    feed(progress, "-xx")
    assert progress.active == (0,), "later steps do not count before their turn"
    feed(progress, "x--")
    assert progress.active == (1,) and progress.guarded == (0,) and progress.steps_done == 1
    feed(progress, "xx-", "xxx")
    assert progress.finished and progress.ended and not progress.failed and progress.failure is None
    assert progress.active == progress.guarded == progress.candidates == ()
    assert progress.steps_done == progress.steps_total == 3
    assert progress.states == (StepState.FINISHED,) * 3


def test_groups_that_are_not_in_any_order_are_in_order() -> None:
    recipe = Recipe("r", "", (Group((step("a"), step("b"))), Group((step("c"),))))
    assert feed(RecipeProgress(recipe), "xx-").active == (1,)


def test_hold_wants_consecutive_success() -> None:
    progress = RecipeProgress(in_order(step("a", hold=3)))
    feed(progress, "x", "x", "-", "x", "x")
    assert not progress.finished
    assert feed(progress, "x").finished


def test_a_step_that_was_true_before_its_turn_must_hold_in_its_turn() -> None:
    progress = feed(RecipeProgress(in_order(step("a"), step("b", hold=2))), "xx", "xx")
    assert not progress.finished
    assert feed(progress, "xx").finished


def test_timeout_fails_and_says_which_step() -> None:
    progress = feed(RecipeProgress(in_order(step("a"), step("b", timeout=2))), "x-", "x-")
    assert progress.active == (1,)
    feed(progress, "x-")
    assert progress.failed and progress.failure == "step 2 b timed out"
    assert progress.active == () and progress.steps_done == 1
    assert progress.states[1] is StepState.TIMED_OUT


def test_the_last_moment_is_in_time() -> None:
    assert feed(RecipeProgress(in_order(step("a", timeout=3))), "-", "-", "x").finished


def test_a_retry_starts_the_clock_again() -> None:
    progress = feed(RecipeProgress(in_order(step("a", timeout=2, retries=1))), "-", "-")
    assert progress.active == (0,) and progress.attempts == (1,)
    feed(progress, "-")
    assert not progress.failed
    assert feed(progress, "-").failure == "step 1 a timed out"


def test_an_optional_step_is_skipped() -> None:
    progress = feed(RecipeProgress(in_order(step("a", timeout=2, optional=True), step("b"))), "--", "--")
    assert progress.active == (1,) and progress.states[0] is StepState.SKIPPED
    assert feed(progress, "-x").finished
    assert progress.steps_done == progress.steps_total == 1


def test_an_optional_last_step_does_not_spoil_the_recipe() -> None:
    progress = feed(RecipeProgress(in_order(step("a"), step("b", timeout=1, optional=True))), "x-", "x-")
    assert progress.finished


def test_after_the_end_nothing_changes() -> None:
    progress = feed(RecipeProgress(in_order(step("a"))), "x")
    assert feed(progress, "-", "-", "-", "-").finished
    progress = feed(RecipeProgress(in_order(step("a", timeout=1))), "-")
    assert feed(progress, "x").failed


@pytest.mark.parametrize(
    "make",
    [list, tuple, np.array, torch.tensor, lambda row: dict(enumerate(row))],
    ids=["list", "tuple", "numpy", "torch", "dict"],
)
def test_success_may_be_any_sequence(make) -> None:  # type: ignore[no-untyped-def]
    progress = RecipeProgress(in_order(step("a"), step("b")), scores=make([0.0, 1.0]))
    progress.update(make([True, False]))
    progress.update(make([True, True]))
    assert progress.finished


def test_a_mapping_may_hold_only_what_is_read() -> None:
    progress = RecipeProgress(in_order(step("a"), step("b"), step("c")))
    progress.update({0: True})
    progress.update({0: True, 1: True})
    assert progress.active == (2,)


def test_a_wrong_number_of_entries_is_refused() -> None:
    with pytest.raises(ValueError, match="2 entries, the recipe 1"):
        RecipeProgress(in_order(step("a"))).update([True, True])
