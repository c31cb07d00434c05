"""Recipes of five fixtures in a row, and their progress fed mark by mark; not a test."""

from __future__ import annotations

from tasks.recipe import Group, Recipe, RecipeProgress, RecipeStep
from tasks.spec import EnvSpec, Fixture, Variable
from tasks.task import move

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
