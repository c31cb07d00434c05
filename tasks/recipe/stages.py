"""Which steps of a recipe may be worked on together, and until when a finished step is guarded."""

import math
from collections.abc import Sequence

from tasks.recipe.model import Recipe


def stages_of(recipe: Recipe) -> tuple[tuple[int, ...], ...]:
    """Step indices stage by stage: an any_order group is one stage, every other step a stage of its own."""
    stages: list[tuple[int, ...]] = []
    start = 0
    for group in recipe.groups:
        indices = tuple(range(start, start + len(group.steps)))
        stages += [indices] if group.any_order else [(i,) for i in indices]
        start += len(indices)
    return tuple(stages)


def guard_ends(recipe: Recipe, stages: Sequence[tuple[int, ...]]) -> tuple[float, ...]:
    """Per step, the number of the first later stage that moves one of its fixtures, or infinity."""
    fixtures = [step.fixtures for step in recipe.steps]
    ends = []
    for number, stage in enumerate(stages):
        for i in stage:
            later = range(number + 1, len(stages))
            touching = (n for n in later if any(fixtures[i] & fixtures[j] for j in stages[n]))
            ends.append(float(next(touching, math.inf)))
    return tuple(ends)
