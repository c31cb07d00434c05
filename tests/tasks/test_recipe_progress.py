"""A recipe's progress: order, any order, time, guards, and what is always true whatever happens."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tasks.recipe import Group, Recipe, RecipeProgress, RecipeStep, StepState
from tasks.spec import EnvSpec, Fixture, Variable
from tasks.task import move, reach

FIXTURES = "abcde"
COLUMNS = tuple(Variable(name, "m", 0.0, 1.0) for name in "xyz" + FIXTURES)
SPEC = EnvSpec(
    "row", COLUMNS, COLUMNS[:3],
    tuple(Fixture(name, 3 + i, 3 + i, (0, 1, 2), 0.0, 1.0, "m") for i, name in enumerate(FIXTURES)),
    0.1, 60, (0, 1, 2), (0, 1, 2),
)  # fmt: skip


def step(
    fixture: str,
    to: float = 1.0,
    *,
    timeout: int = 10,
    optional: bool = False,
    retries: int = 0,
    hold: int = 1,
    guard: bool = True,
) -> RecipeStep:
    return RecipeStep(move(SPEC, fixture, to), fixture, timeout, optional, retries, hold, guard)


def in_order(*steps: RecipeStep, grace: int = 1) -> Recipe:
    return Recipe("r", "", (Group(steps),), grace)


def any_order(*steps: RecipeStep, then: tuple[RecipeStep, ...] = (), grace: int = 1) -> Recipe:
    groups = (Group(steps, any_order=True), Group(then)) if then else (Group(steps, any_order=True),)
    return Recipe("r", "", groups, grace)


def feed(progress: RecipeProgress, *rows: str) -> RecipeProgress:
    """One control step per row, one character per recipe step: 'x' is success."""
    for row in rows:
        progress.update([mark == "x" for mark in row])
    return progress


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


# Plain values are drawn and recipes built from them in the test: our classes check shapes when they are made,
# which a strategy must not do (the checker draws random numbers of its own).
STEP = st.fixed_dictionaries(
    {
        "fixture": st.sampled_from(FIXTURES),
        "to": st.sampled_from([0.0, 1.0]),
        "timeout": st.integers(3, 6),
        "optional": st.booleans(),
        "retries": st.integers(0, 2),
        "hold": st.integers(1, 3),
        "guard": st.booleans(),
    }
)
GROUP = st.tuples(st.lists(STEP, min_size=1, max_size=3, unique_by=lambda one: one["fixture"]), st.booleans())
PLANS = st.tuples(st.lists(GROUP, max_size=3), STEP, st.lists(GROUP, max_size=2), st.integers(0, 2))


def build(plan) -> Recipe:  # type: ignore[no-untyped-def]
    before, required, after, grace = plan
    drawn = [*before, ([required | {"optional": False}], False), *after]
    groups = tuple(Group(tuple(step(**one) for one in steps), any_order=free) for steps, free in drawn)
    return Recipe("r", "", groups, grace)


@given(PLANS, st.integers(0, 2**32 - 1), st.floats(0.0, 1.0))
def test_what_is_always_true(plan, seed: int, share: float) -> None:  # type: ignore[no-untyped-def]
    recipe, rng = build(plan), np.random.default_rng(seed)
    count = len(recipe.steps)
    progress, twin = RecipeProgress(recipe), RecipeProgress(recipe)
    done: set[int] = set()
    for _ in range(recipe.total_timeout):
        assert progress.active and set(progress.active) <= set(range(count))
        assert set(progress.active) <= set(progress.candidates)
        assert all(progress.states[i] is StepState.FINISHED for i in progress.guarded)
        assert 0 <= progress.steps_done <= progress.steps_total
        row, scores = rng.random(count) < share, rng.random(count)
        for either in (progress, twin):
            either.update(row, scores)
        now = {i for i, state in enumerate(progress.states) if state is not StepState.OPEN}
        assert done <= now, "no step becomes open again"
        done = now
        if progress.ended:
            break
    assert progress.ended and progress.finished != progress.failed, "over within total_timeout"
    assert (progress.states, progress.failure) == (twin.states, twin.failure), "same input, same course"
    if progress.finished:
        assert progress.steps_done == progress.steps_total


@given(PLANS)
def test_a_perfect_hand_finishes_everything(plan) -> None:  # type: ignore[no-untyped-def]
    recipe = build(plan)
    progress = RecipeProgress(recipe)
    for _ in range(sum(one.hold for one in recipe.steps)):
        progress.update([True] * len(recipe.steps))
    assert progress.finished and StepState.SKIPPED not in progress.states


@given(PLANS)
def test_an_idle_hand_fails_at_a_required_step(plan) -> None:  # type: ignore[no-untyped-def]
    recipe = build(plan)
    progress = RecipeProgress(recipe)
    for _ in range(recipe.total_timeout):
        progress.update([False] * len(recipe.steps))
    assert progress.failed and "timed out" in str(progress.failure) and progress.steps_done == 0
