"""Steps that were finished must stay so, until a later one takes over."""

from __future__ import annotations

from tasks.recipe import Group, Recipe, RecipeProgress, RecipeStep, StepState
from tasks.task import reach
from tests.tasks.recipe.row import SPEC, feed, in_order, step


def test_an_optional_step_that_was_finished_is_guarded() -> None:
    progress = RecipeProgress(in_order(step("a", optional=True), step("b"), grace=0))
    assert feed(progress, "x-", "--").failure == "step 1 a was undone"


def test_undoing_a_finished_step_fails_after_the_grace() -> None:
    progress = RecipeProgress(in_order(step("a"), step("b"), grace=2))
    feed(progress, "x-", "--", "--", "x-", "--", "--")
    assert not progress.failed, "the count begins anew when the step is successful again"
    feed(progress, "--")
    assert progress.failure == "step 1 a was undone" and progress.steps_done == 0
    assert progress.states[0] is StepState.UNDONE


def test_without_guard_a_step_may_be_undone() -> None:
    progress = RecipeProgress(in_order(step("a", guard=False), step("b"), grace=0))
    assert feed(progress, "x-", "--", "--", "-x").finished


def test_a_reach_is_done_once() -> None:
    recipe = Recipe(
        "r", "", (Group((RecipeStep(reach(SPEC, "a"), "r", 9, hold=1, guard=False), step("b"))),), 0
    )
    assert feed(RecipeProgress(recipe), "x-", "--", "-x").finished


def test_a_later_step_on_the_same_fixture_takes_over() -> None:
    progress = RecipeProgress(in_order(step("a"), step("b"), step("a", 0.0), step("c"), grace=0))
    feed(progress, "x---", "xx--")
    assert progress.active == (2,) and progress.guarded == (1,), "lifted while the later step is active"
    feed(progress, "-xx-")
    assert progress.guarded == (1, 2), "and afterwards"
    assert feed(progress, "-xxx").finished


def test_the_later_step_lifts_the_guard_even_if_it_is_skipped() -> None:
    progress = RecipeProgress(
        in_order(step("a"), step("a", 0.5, timeout=1, optional=True), step("b"), grace=0)
    )
    assert feed(progress, "x--", "---", "--x").finished


def test_a_guard_is_lifted_when_an_any_order_group_with_its_fixture_begins() -> None:
    recipe = Recipe("r", "", (Group((step("a"),)), Group((step("b"), step("a", 0.0)), any_order=True)), 0)
    progress = feed(RecipeProgress(recipe), "x--")
    assert progress.active == (1,) and progress.guarded == ()
    assert feed(progress, "--x").active == (1,)
    assert feed(progress, "-xx").finished


def test_a_wobble_at_the_end_delays_the_finish() -> None:
    progress = feed(RecipeProgress(in_order(step("a"), step("b"), grace=2)), "x-", "-x")
    assert not progress.ended and progress.active == (0,) and progress.guarded == (0, 1)
    assert feed(progress, "xx").finished


def test_a_wobble_at_the_end_does_not_last() -> None:
    progress = feed(RecipeProgress(in_order(step("a"), step("b"), grace=2)), "x-", "-x", "x-", "-x")
    assert progress.failure == "step 1 a was undone"


def test_several_wobbles_at_the_end_leave_nothing_to_choose() -> None:
    progress = feed(RecipeProgress(in_order(step("a"), step("b"), step("c"))), "x--", "xx-")
    progress.update([False, False, True], scores=[0.0, 1.0, 2.0])
    assert progress.active == progress.candidates == (0, 1)
    assert feed(progress, "xxx").finished
