"""A small environment to write recipes for, and how they are read or refused there; not a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import pytest

from tasks.combinators import all_of
from tasks.errors import TaskError
from tasks.recipe import Recipe, parse_recipe
from tasks.spec import EnvSpec, Fixture, Variable
from tasks.task import Move, Reach, Task, move, reach


def small_spec() -> EnvSpec:
    names = ("hand_x", "hand_y", "hand_z", "door", "lid", "door_velocity", "lid_velocity", "dx", "dy", "dz")
    fixtures = (
        Fixture("door", 3, 5, (7, 8, 9), 0.0, 1.5, "rad"),
        Fixture("lid", 4, 6, (7, 8, 9), -0.1, 0.1, "m"),
    )
    columns = tuple(Variable(name, "m", -2.0, 2.0) for name in names)
    return EnvSpec("flat", columns, columns[:3], fixtures, 0.1, 60, (0, 1, 2), (5, 5, 5))


SPEC = small_spec()
OPEN, SHUT = move(SPEC, "door", 1.4, name="door_open"), move(SPEC, "door", 0.0, name="door_close")
UP = move(SPEC, "lid", 0.1, name="lid_up")
BOTH = all_of("all_open", [OPEN, UP])
NAMED: Mapping[str, Task] = MappingProxyType({task.name: task for task in (OPEN, SHUT, UP, BOTH)})


@dataclass(frozen=True)
class Flat:
    spec: EnvSpec = SPEC
    tasks: Mapping[str, Task] = field(default_factory=lambda: NAMED)

    def move(self, fixture: str, to: float) -> Move:
        return move(self.spec, fixture, to)

    def reach(self, target: str | Sequence[float]) -> Reach:
        return reach(self.spec, target)


ENV = Flat()
HEAD = "name: lunch\nsteps:\n"


def read(steps: str, head: str = "name: lunch") -> Recipe:
    return parse_recipe(f"{head}\nsteps:\n{steps}", ENV, source="lunch.yaml")


def complaint(text: str) -> str:
    with pytest.raises(TaskError) as caught:
        parse_recipe(text, ENV, source="lunch.yaml")
    return str(caught.value)
