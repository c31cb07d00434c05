"""OGBench's tasks of a workcell: its starts, its goals, its success; rewards with subgoals from what locks what."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from tasks.ogbench.cells import Cell
from tasks.ogbench.operators import TOLERANCE, Light, Place, Press, Slide
from tasks.ogbench.spec import CUBE, lights_of
from tasks.ogbench.starts import Setting, Starts
from tasks.spec import EnvSpec, Fixture
from tasks.subgoals import Operator, StagedTask, search
from tasks.task import Task

WITHIN = 0.03
"""Nearer than this (m), a part of a goal counts as done for the search, so that the edge of success is not the aim."""

OPEN = -0.16
"""Position of the drawer (m) when it is open; at 0 it is shut."""

ROOM = ((0.285, -0.445), (0.375, -0.368))
"""Where the middle of a cube in the shut drawer (x, y in m) is 1 cm from the front and 2 cm from the other sides: it
cannot be put down nearer to them."""


@dataclass(frozen=True)
class Goal:
    """How the things of a workcell shall stand; None where any way will do.

    Attributes:
        cube: its place (m).
        slides: positions of the slides (m), in the cell's order.
        lights: 0 or 1 each, in the cell's order.
    """

    cube: tuple[float, float, float] | None
    slides: tuple[float | None, ...]
    lights: tuple[int | None, ...]


@dataclass(frozen=True)
class Every(Task):
    """OGBench's success: every part is done, and every light as it shall be."""

    parts: tuple[Task, ...]
    columns: tuple[int, ...]
    lights: tuple[int, ...]

    def success(self, obs: Float[Tensor, "*b O"]) -> Bool[Tensor, "*b"]:
        """See above."""
        there = ((obs[..., list(self.columns)] > 0.5) == obs.new_tensor(self.lights).bool()).all(dim=-1)
        for part in self.parts:
            there = there & part.success(obs)
        return there


@dataclass(frozen=True, eq=False)
class WorkcellTask(StagedTask):
    """One of OGBench's tasks.

    Attributes:
        begin: how things stand at its start.
        starts: draws start states.
    """

    begin: Setting | None = None
    starts: Starts | None = None

    def start_states(self, rng: np.random.Generator, n: int) -> Float[ndarray, "n S"]:
        """Where OGBench begins it."""
        assert self.begin is not None and self.starts is not None
        return self.starts.of(rng, n, self.begin)


def named_tasks(
    described: EnvSpec, cell: Cell, infos: Sequence[Mapping[str, Any]], starts: Starts
) -> dict[str, Task]:
    """The tasks that the package declares, by its names.

    Args:
        described: the spec.
        cell: what is in the workcell.
        infos: the package's `task_infos`.
        starts: draws start states.
    """
    found: dict[str, Task] = {}
    for info in infos:
        name, begin, goal = info["task_name"], _setting(cell, info, "init"), _setting(cell, info, "goal")
        asked = Goal(goal.cube, goal.slides, goal.lights)
        found[name] = goal_task(name, f"OGBench's {name}", described, cell, asked, begin, starts)
    return found


def _setting(cell: Cell, info: Mapping[str, Any], when: str) -> Setting:
    """Start or goal: the environments of the package lay them out in three ways."""
    given = info[when] if when in info else {k.removeprefix(f"{when}_"): v for k, v in info.items()}
    cubes = given.get("block_xyzs", given.get("xyzs"))
    cube = None if cubes is None else tuple(float(x) for x in cubes[0])
    slides = tuple(float(given[f"{slide.name}_pos"]) for slide in cell.slides)
    return Setting(cube, slides, tuple(int(x) for x in given.get("button_states", ())))  # type: ignore[arg-type]


def goal_task(
    name: str, what: str, described: EnvSpec, cell: Cell, goal: Goal, begin: Setting | None = None,
    starts: Starts | None = None,
) -> WorkcellTask:  # fmt: skip
    """The task of reaching a goal from anywhere: what to do first follows from a search.

    Args:
        name: of the task.
        what: it is; the goal itself is added.
        described: the spec.
        cell: what is in the workcell.
        goal: how things shall stand.
        begin: how things stand at its start, where it has one of its own.
        starts: draws such start states.
    """
    facts, operators, aim = _operators(described, cell, goal)
    plan, done = search(len(facts), operators, aim), _done(described, cell, goal)
    text = f"{what}: {_text(cell, goal)}"
    return WorkcellTask(name, text, "source", facts, operators, plan, done, begin, starts)


def _text(cell: Cell, goal: Goal) -> str:
    parts = [] if goal.cube is None else ["cube to ({:g}, {:g}, {:g}) m".format(*goal.cube)]
    slides = zip(cell.slides, goal.slides, strict=True)
    parts += [f"{one.name} at {place:g} m" for one, place in slides if place is not None]
    if any(light is not None for light in goal.lights):
        parts.append("lights " + "".join("?" if light is None else str(light) for light in goal.lights))
    return ", ".join(parts)


def _cube(described: EnvSpec) -> tuple[Fixture, ...]:
    return tuple(described.fixture(name) for name, *_ in CUBE)


def _done(described: EnvSpec, cell: Cell, goal: Goal) -> Every:
    parts: list[Task] = []
    if goal.cube is not None:
        parts.append(Place("cube", "", "source", _cube(described), goal.cube))
    for slide, place in zip(cell.slides, goal.slides, strict=True):
        if place is not None:
            parts.append(Slide(slide.name, "", "source", described.fixture(slide.name), place, slide.along))
    asked = [
        (column, light)
        for column, light in zip(lights_of(described, cell), goal.lights, strict=True)
        if light is not None
    ]
    columns, lights = tuple(column for column, _ in asked), tuple(light for _, light in asked)
    return Every("done", "", "source", tuple(parts), columns, lights)


def _operators(
    described: EnvSpec, cell: Cell, goal: Goal
) -> tuple[tuple[Task, ...], tuple[Operator, ...], list[tuple[int, bool]]]:
    """Facts, operators and the aim: lights come first, then where slides are, then the cube."""
    facts: list[Task] = [
        Light(name, "", "source", column)
        for name, column in zip(cell.lights, lights_of(described, cell), strict=True)
    ]
    aim = [(k, bool(on)) for k, on in enumerate(goal.lights) if on is not None]
    operators = [
        Operator(Press(f"press {name}", "", "source", described.fixture(name)), toggles=cell.changed_by(k))
        for k, name in enumerate(cell.buttons)
    ]
    drawer = next((k for k, slide in enumerate(cell.slides) if slide.name == "drawer"), None)
    inside = goal.cube is not None and drawer is not None and goal.cube[2] > 0.04
    drawer_open = -1
    for k, slide in enumerate(cell.slides):
        fixture, asked = described.fixture(slide.name), goal.slides[k]
        wanted = [] if asked is None else [asked]
        if inside and k == drawer and (asked is None or abs(asked - OPEN) > TOLERANCE):
            wanted.append(OPEN)
        numbers = [len(facts) + i for i in range(len(wanted))]
        for number, place in zip(numbers, wanted, strict=True):
            one = Slide(f"{slide.name} to {place:g}", "", "source", fixture, place, slide.along, WITHIN)
            facts.append(one)
            makes = tuple((other, other == number) for other in numbers)
            operators.append(Operator(one, ((slide.lock, True),), makes))
        if asked is not None:
            aim.append((numbers[0], True))
        if k == drawer and numbers:
            drawer_open = numbers[-1]
    if goal.cube is not None:
        x, y, z = goal.cube
        rides, within = None, WITHIN
        if inside:
            rides = described.fixture("drawer")
            x, y = (float(v) for v in np.clip((x, y), *ROOM))
            within = TOLERANCE - math.dist((x, y), goal.cube[:2])
        placed = Place("cube to its place", "", "source", _cube(described), (x, y, z), within, rides)
        needs = ((drawer_open, True),) if inside else ()
        operators.append(Operator(placed, needs, ((len(facts), True),)))
        aim.append((len(facts), True))
        facts.append(placed)
    return tuple(facts), tuple(operators), aim
