"""Groups in any order: which step comes next."""

from __future__ import annotations

import math

from tasks.recipe import RecipeProgress, StepState
from tests.tasks.recipe.row import any_order, feed, in_order, step


def test_any_order_starts_with_the_first_and_keeps_it() -> None:
    progress = RecipeProgress(any_order(step("a"), step("b"), step("c"), then=(step("d"),)))
    assert progress.active == (0,) and progress.candidates == (0, 1, 2)
    feed(progress, "----")
    assert progress.candidates == (0,), "work has begun"
    feed(progress, "--x-")
    assert progress.active == (0,) and progress.guarded == (2,), (
        "an open step that comes true is finished too"
    )
    assert feed(progress, "x-x-").active == (1,)
    assert feed(progress, "xxx-").active == (3,)
    assert feed(progress, "xxxx").finished


def test_any_order_takes_the_best_candidate() -> None:
    recipe = any_order(step("a"), step("b"), step("c"))
    assert RecipeProgress(recipe, scores=[0.0, 2.0, 1.0]).active == (1,)
    progress = RecipeProgress(recipe)
    progress.choose({0: -1.0, 1: math.nan, 2: 0.5})
    assert progress.active == (2,)
    progress.update([False, False, False], scores=[9.0, 0.0, 0.0])
    assert progress.active == (2,), "no dithering once begun"
    progress.update([False, False, True], scores=[1.0, 1.0, 7.0])
    assert progress.active == (0,), "the first of equals"
    progress.update([True, False, True], scores=[0.0, 0.0, 0.0])
    assert progress.active == (1,)


def test_scores_do_not_matter_in_order() -> None:
    assert RecipeProgress(in_order(step("a"), step("b")), scores=[0.0, 9.0]).active == (0,)


def test_any_order_comes_back_to_a_timed_out_step_last() -> None:
    progress = RecipeProgress(any_order(step("a", timeout=1, retries=1), step("b"), step("c")))
    feed(progress, "---")
    assert progress.active == (1,) and progress.candidates == (1, 2)
    progress.choose([9.0, 0.0, 1.0])
    assert progress.active == (2,), "others come first"
    feed(progress, "--x")
    assert progress.active == (1,)
    feed(progress, "-xx")
    assert progress.active == (0,)
    assert feed(progress, "-xx").failure == "step 1 a timed out"


def test_any_order_skips_optional_steps() -> None:
    progress = RecipeProgress(any_order(step("a", timeout=1, optional=True), step("b")))
    assert feed(progress, "--", "xx").finished
    assert progress.states == (StepState.SKIPPED, StepState.FINISHED)


def test_any_order_tries_the_others_after_one_is_out_of_tries() -> None:
    progress = RecipeProgress(any_order(step("a", timeout=1), step("b"), step("c"), then=(step("d"),)))
    feed(progress, "----")
    assert progress.failure == "step 1 a timed out" and progress.failed and not progress.ended
    assert progress.active == (1,)
    feed(progress, "-x--", "-xx-")
    assert progress.ended and progress.active == () and progress.steps_done == 2, (
        "what comes after is not begun"
    )


def test_any_order_ends_at_once_where_a_guarded_step_is_undone() -> None:
    progress = RecipeProgress(any_order(step("a"), step("b"), step("c"), grace=0))
    feed(progress, "x--", "---")
    assert progress.ended and progress.failure == "step 1 a was undone"
