"""Recipe records: steps, groups and stages."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tasks.errors import TaskError
from tasks.spec import EnvSpec
from tasks.task import Task, moves_of

DEFAULT_HOLD = 3
DEFAULT_GRACE = 3
MAX_STEPS = 100


@runtime_checkable
class RecipeEnvironment(Protocol):
    """What a recipe needs from an environment: its spec, its named tasks, and tasks made to measure."""

    @property
    def spec(self) -> EnvSpec:
        """Observations, actions, fixtures and their ranges."""
        ...

    @property
    def tasks(self) -> Mapping[str, Task]:
        """Named tasks."""
        ...

    def move(self, fixture: str, to: float) -> Task:
        """A task that brings `fixture` to `to` (the fixture's unit). Raises TaskError."""
        ...

    def reach(self, target: str | Sequence[float]) -> Task:
        """A task that brings the hand to a fixture's handle or a point (metres). Raises TaskError."""
        ...


@dataclass(frozen=True)
class RecipeStep:
    """One thing to be brought about.

    Attributes:
        task: Its `success` is the step's done-condition.
        label: Name shown to people.
        timeout: Control steps of one try.
        optional: A timeout skips the step instead of failing the recipe.
        retries: Further tries after a timeout.
        hold: Consecutive control steps of success that finish the step.
        guard: Once finished, the step must stay successful until a later step wants one of its fixtures.

    Raises:
        TaskError: If a number is out of range, or the step could never finish.
    """

    task: Task
    label: str
    timeout: int
    optional: bool = False
    retries: int = 0
    hold: int = DEFAULT_HOLD
    guard: bool = True

    def __post_init__(self) -> None:
        if self.timeout < 1 or self.retries < 0 or self.hold < 1:
            raise TaskError(
                f"step '{self.label}' has timeout {self.timeout}, retries {self.retries}, hold {self.hold}; "
                "needed are timeout >= 1, retries >= 0, hold >= 1"
            )
        if self.hold > self.timeout:
            raise TaskError(
                f"step '{self.label}' must hold for {self.hold} control steps but times out after "
                f"{self.timeout}; give a hold from 1 to {self.timeout}"
            )

    @property
    def fixtures(self) -> frozenset[str]:
        """Names of the fixtures that the step moves, as far as its task says so."""
        return frozenset(fixture.name for fixture in self.task.fixtures)


@dataclass(frozen=True)
class Group:
    """Steps that belong together: in the order given, or in any order.

    Raises:
        TaskError: If there is no step, or steps that may come in any order contradict each other.
    """

    steps: tuple[RecipeStep, ...]
    any_order: bool = False

    def __post_init__(self) -> None:
        if not self.steps:
            raise TaskError("a group of steps is empty; it needs at least one step")
        if self.any_order:
            for later, second in enumerate(self.steps):
                for first in self.steps[:later]:
                    if problem := conflict(first, second):
                        raise TaskError(problem)


@dataclass(frozen=True)
class Recipe:
    """Groups of steps, worked through in order.

    Attributes:
        grace: Control steps for which a guarded step may fail to be successful (contact makes things wobble)
            before it counts as undone.

    Raises:
        TaskError: If there is no step, no step that must be done, too many, or two tasks of one name.
    """

    name: str
    description: str
    groups: tuple[Group, ...]
    grace: int = DEFAULT_GRACE

    def __post_init__(self) -> None:
        if not 1 <= len(self.steps) <= MAX_STEPS:
            raise TaskError(f"recipe '{self.name}' has {len(self.steps)} steps; give it 1 to {MAX_STEPS}")
        if all(step.optional for step in self.steps):
            raise TaskError(f"recipe '{self.name}' has only optional steps; make at least one step required")
        by_name = {step.task.name: step.task for step in self.steps}
        clashes = [step.task.name for step in self.steps if step.task != by_name[step.task.name]]
        if clashes:
            raise TaskError(f"recipe '{self.name}' has two different tasks called '{clashes[0]}'; rename one")
        if self.grace < 0:
            raise TaskError(f"recipe '{self.name}' has grace {self.grace}; it must be at least 0")

    @property
    def steps(self) -> tuple[RecipeStep, ...]:
        """All steps; a step's index everywhere is its place here."""
        return tuple(step for group in self.groups for step in group.steps)

    def success(self, obs: Float[Tensor, "*b O"]) -> Bool[Tensor, "*b steps"]:
        """Which steps' tasks are successful in each state; what `RecipeProgress.update` takes in."""
        return torch.stack([step.task.success(obs) for step in self.steps], dim=-1)

    @property
    def total_timeout(self) -> int:
        """Control steps after which an episode has ended, finished or failed, whatever happened."""
        return sum(step.timeout * (1 + step.retries) for step in self.steps) + self.grace


def tasks_of(asked: Iterable[Task | Recipe]) -> list[Task]:
    """The tasks, and those of the recipes' steps."""
    found: list[Task] = []
    for one in asked:
        found += [step.task for step in one.steps] if isinstance(one, Recipe) else [one]
    return found


def conflict(first: RecipeStep, second: RecipeStep) -> str | None:
    """Why two steps cannot both be asked for in any order, or None if they can."""
    goals, others = _goals(second.task), _goals(first.task)
    for fixture, target in goals.items():
        other = others.get(fixture, target)
        if not math.isclose(other, target, rel_tol=1e-6, abs_tol=1e-9):
            return (
                f"steps '{first.label}' and '{second.label}' want {fixture} at {other:g} and at {target:g} "
                "in any order; put them in order or drop one"
            )
    if first.task == second.task or (goals and goals == others):
        return f"steps '{first.label}' and '{second.label}' ask for the same in one any_order group; drop one"
    return None


def _goals(task: Task) -> dict[str, float]:
    """Fixture to target, as far as the task is made of moves."""
    return {move.fixture.name: move.to for move in moves_of(task)}


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
