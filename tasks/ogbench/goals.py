"""Random goals to practise: one thing of a workcell shall be somewhere else than it is."""

from collections.abc import Collection
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.errors import TaskError
from tasks.ogbench.cells import Cell
from tasks.ogbench.observation import Observer
from tasks.ogbench.starts import CUBE_HEIGHT
from tasks.ogbench.tasks import OPEN, ROOM, Goal, goal_task
from tasks.spec import EnvSpec
from tasks.task import Task

IN_DRAWER = 0.5
"""Share of the cube's goals that are in the drawer, where there is one."""

PRESSES = 3
"""Most buttons that a goal takes, if there are so many."""


class RandomGoals:
    """Called with start states, it gives a goal for each.

    Args:
        theirs: OGBench's environment of the cell.
        described: the spec.
        cell: what is in it.
        observer: of the cell.
    """

    def __init__(self, theirs: Any, described: EnvSpec, cell: Cell, observer: Observer) -> None:
        self._theirs, self._spec, self._cell, self._see = theirs, described, cell, observer

    def __call__(
        self, states: Float[ndarray, "B S"], locked: Collection[str], rng: np.random.Generator
    ) -> list[Task]:
        """Goals for things that are not locked.

        Raises:
            TaskError: everything is.
        """
        cell = self._cell
        free = [slide.name for slide in cell.slides if slide.name not in locked]
        free += ["cube"] if cell.cube else []
        free += ["lights"] if cell.buttons and not set(cell.buttons) & set(locked) else []
        if not free:
            raise TaskError("behaviour goals needs something that is not locked")
        return [self._drawn(state, free, rng) for state in states]

    def _drawn(self, state: Float[ndarray, " S"], free: list[str], rng: np.random.Generator) -> Task:
        cell, thing = self._cell, free[rng.integers(len(free))]
        slides: list[float | None] = [None] * len(cell.slides)
        lights: list[int | None] = [None] * len(cell.lights)
        cube = self._place(free, rng) if thing == "cube" else None
        if thing == "lights":
            lights[:] = self._pressed(state[len(state) - len(lights) :], rng)
        for k, slide in enumerate(cell.slides):
            if slide.name == thing:
                low, high = (OPEN, 0.0) if thing == "drawer" else (0.0, 0.2)
                slides[k] = low if state[self._see.columns[thing]] >= (low + high) / 2 else high
        goal = Goal(cube, tuple(slides), tuple(lights))
        return goal_task(f"goal: {thing}", "a random goal", self._spec, cell, goal)

    def _place(self, free: list[str], rng: np.random.Generator) -> tuple[float, float, float]:
        """On the table, or in the drawer: given as where it is when the drawer is shut."""
        if "drawer" in free and rng.random() < IN_DRAWER:
            (x, y), z = rng.uniform(*np.array(ROOM)), self._theirs._drawer_center[2]
        else:
            (x, y), z = rng.uniform(*self._theirs._target_sampling_bounds), CUBE_HEIGHT
        return float(x), float(y), float(z)

    def _pressed(self, lights: Float[ndarray, " L"], rng: np.random.Generator) -> list[int]:
        """The lights after a few presses."""
        lights = np.array(lights > 0.5)
        buttons = len(self._cell.buttons)
        for button in rng.permutation(buttons)[: rng.integers(1, min(PRESSES, buttons) + 1)]:
            lights[list(self._cell.changed_by(int(button)))] ^= True
        return [int(light) for light in lights]
