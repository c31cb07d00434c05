"""Declared environments: the spec, the tasks and a stand-in for the simulator that is not there."""

import math
from dataclasses import dataclass, field, replace
from pathlib import Path

from tasks.environment import Environment
from tasks.errors import TaskError
from tasks.logged.declaration import Declaration, DeclaredColumn, DeclaredFixture
from tasks.logged.goal import ColumnGoal
from tasks.logged.scene import LoggedScene
from tasks.simulator import Simulator
from tasks.spec import EnvSpec, Fixture, Variable, nearest
from tasks.task import TOLERANCE

FAMILY = "file"
"""Declared environments are named file:FILE.yaml."""

USUAL = {"rad": math.pi}
"""Half the usual range of a column without bounds, by its unit; 1 of any other. Nothing is clipped to it."""

CLOSE = 0.02
"""Tolerance of a column that is no fixture, as a share of its range."""


@dataclass(frozen=True)
class LoggedScenes:
    """Makes the stand-ins of one environment's simulator."""

    spec: EnvSpec

    def __call__(self, locked: tuple[str, ...]) -> Simulator:
        """A new one.

        Raises:
            TaskError: something is to be locked.
        """
        if locked:
            raise TaskError(f"{self.spec.name} has no simulator in which {locked[0]} could be locked")
        return LoggedScene(self.spec)


@dataclass(frozen=True, repr=False)
class LoggedEnvironment(Environment):
    """An environment that is known by its logs.

    Attributes:
        bounded: columns of the observation whose bounds are declared.
        tolerances: of the declared fixtures, each with the column of its position; by name.
    """

    simulated: bool = False
    bounded: frozenset[int] = frozenset()
    tolerances: dict[str, tuple[int, float]] = field(default_factory=dict)

    def move(self, fixture: str, to: float) -> ColumnGoal:
        """The task of bringing a fixture, or any column with bounds, to a value.

        Raises:
            TaskError: there is no such fixture or column, it has no bounds, or the value is outside of them.
        """
        spec = self.spec
        names = [variable.name for variable in spec.observation]
        if fixture not in self.tolerances and fixture not in names:
            raise TaskError(
                f"{spec.name}: no fixture {fixture!r}{nearest(fixture, [*self.tolerances, *names])}"
            )
        column, tolerance = self.tolerances.get(
            fixture, (spec.index(fixture) if fixture in names else 0, 0.0)
        )
        variable = spec.observation[column]
        if column not in self.bounded:
            raise TaskError(f"{spec.name}: {fixture} has no bounds; give it low and high to move it")
        if isinstance(to, bool) or not isinstance(to, int | float) or not variable.low <= to <= variable.high:
            limits = f"its range is {variable.low:g} to {variable.high:g} {variable.unit}".rstrip()
            raise TaskError(f"{spec.name}: {fixture} cannot move to {to!r}; {limits}")
        span = variable.high - variable.low
        held = next((one for one in spec.fixtures if one.name == fixture), None)
        return ColumnGoal(
            f"move({fixture}, {to:g})", f"move {fixture} to {to:g} {variable.unit}".rstrip(), "user",
            column, float(to), tolerance or CLOSE * span, span, held,
        )  # fmt: skip


def logged_environment(text: str, copy: Path | None = None) -> LoggedEnvironment:
    """The environment that `file:TEXT` declares; no code is run by it.

    Args:
        text: path of the file.
        copy: another file that declares it, if that is not there.

    Raises:
        TaskError: `FILE:LINE:COLUMN: what is wrong`.
    """
    path = Path(text)
    declared = Declaration(copy if copy is not None and not path.exists() and copy.is_file() else path)
    names = list(declared.columns)
    at = {name: i for i, name in enumerate(names)}
    fixtures = tuple(
        _fixture(name, one, declared.columns[one.position], at)
        for name, one in declared.fixtures.items()
        if one.handle
    )
    hand = declared.hand
    actions = list(declared.actions)
    driven = [actions.index(name) for name in hand.actions] if hand and hand.actions else None
    spec = EnvSpec(
        name=f"{FAMILY}:{text}",
        observation=tuple(_variable(name, column) for name, column in declared.columns.items()),
        action=tuple(Variable(name, one.unit, one.low, one.high) for name, one in declared.actions.items()),
        fixtures=fixtures,
        control_dt=declared.control_step,
        episode_steps=declared.episode_steps,
        hand=tuple(at[name] for name in hand.position) if hand else (),
        hand_velocity=tuple(at[name] for name in hand.velocity or ()) if hand else (),
        hand_actions=(driven[0], driven[1], driven[2]) if driven else None,
        angles=tuple(i for i, column in enumerate(declared.columns.values()) if column.angle),
    )
    bounded = frozenset(i for i, one in enumerate(declared.columns.values()) if one.low is not None)
    tolerances = {
        name: (at[one.position], one.tolerance or TOLERANCE * _span(declared.columns[one.position]))
        for name, one in declared.fixtures.items()
    }
    bare = LoggedEnvironment(spec, {}, LoggedScenes(spec), bounded=bounded, tolerances=tolerances)
    tasks = {}
    for fixture, one in declared.fixtures.items():
        targets = one.target if isinstance(one.target, dict) else {fixture: one.target}
        for name, target in targets.items():
            if target is not None and name in tasks:
                declared.fail(f"two tasks are called {name!r}; rename one", "fixtures", fixture, "target")
            if target is not None:
                tasks[name] = _named(bare.move(fixture, target), name)
    return replace(bare, tasks=tasks, declared=declared.text)


def _named(goal: ColumnGoal, name: str) -> ColumnGoal:
    return ColumnGoal(
        name, goal.description, "source", goal.column, goal.to, goal.tolerance, goal.span, goal.fixture
    )


def _variable(name: str, column: DeclaredColumn) -> Variable:
    half = USUAL.get(column.unit, 1.0)
    low, high = (-half, half) if column.low is None or column.high is None else (column.low, column.high)
    return Variable(name, column.unit, low, high)


def _fixture(name: str, one: DeclaredFixture, column: DeclaredColumn, at: dict[str, int]) -> Fixture:
    x, y, z = (at[part] for part in one.handle or ())
    low, high = column.low or 0.0, column.high or 0.0
    return Fixture(name, at[one.position], at[one.velocity or ""], (x, y, z), low, high, column.unit)


def _span(column: DeclaredColumn) -> float:
    return (column.high or 0.0) - (column.low or 0.0)
