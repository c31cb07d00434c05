"""What is always true of a recipe's progress, whatever happens."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tasks.recipe import Group, Recipe, RecipeProgress, StepState
from tests.tasks.recipe.row import FIXTURES, step

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
