"""Reader of declared environments, with errors by file, line and column.

control_step: 0.05
columns:
  shoulder: {unit: rad, low: -1.5, high: 1.5}
  drawer: {unit: m, low: 0, high: 0.4}
actions:
  shoulder_target: {unit: rad, low: -1.5, high: 1.5}
fixtures:
  drawer: {position: drawer, target: {drawer_open: 0.3, drawer_shut: 0}, tolerance: 0.02}
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from tasks.recipe.yaml_reader import NodeReader, find, kind, quoted, read_source
from tasks.spec import nearest

_WHAT, _NEEDS = "environment", "'control_step', 'columns' and 'actions'"

MOST_COLUMNS = 400
"""Columns of observations, and of actions: more than robots have, and few enough for the reader's own limits."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.\-/]*$", max_length=80)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Triple = Annotated[list[Name], Field(min_length=3, max_length=3)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DeclaredColumn(_Part):
    """One column of the observation; without bounds its usual range follows from its unit."""

    unit: Annotated[str, Field(max_length=20)] = ""
    low: Number | None = None
    high: Number | None = None
    angle: bool = False


class DeclaredAction(_Part):
    """One column of the action, with the range in which the robot takes it."""

    unit: Annotated[str, Field(max_length=20)] = ""
    low: Number
    high: Number


class DeclaredFixture(_Part):
    """A column that is to be brought somewhere: `target` is a number, or numbers by the names of tasks."""

    position: Name
    target: Number | Annotated[dict[Name, Number], Field(min_length=1)] | None = None
    tolerance: Annotated[Number, Field(gt=0)] | None = None
    velocity: Name | None = None
    handle: Triple | None = None


class DeclaredHand(_Part):
    """Columns of the hand's place and velocity along x, y and z, and of the actions that drive it along them."""

    position: Triple
    velocity: Triple | None = None
    actions: Triple | None = None


class _File(_Part):
    control_step: Annotated[Number, Field(gt=0, le=60)]
    columns: Annotated[dict[Name, DeclaredColumn], Field(min_length=1, max_length=MOST_COLUMNS)]
    actions: Annotated[dict[Name, DeclaredAction], Field(min_length=1, max_length=MOST_COLUMNS)]
    fixtures: dict[Name, DeclaredFixture] = {}
    hand: DeclaredHand | None = None
    episode_steps: Annotated[int, Field(ge=1, le=1_000_000)] = 60


class Declaration:
    """What a file declares, checked.

    Args:
        path: the file.

    Raises:
        TaskError: `FILE:LINE:COLUMN: what is wrong` on one line.
    """

    def __init__(self, path: Path) -> None:
        self.text = text = read_source(path, "a file that declares an environment (.yaml)", _WHAT)
        self._reader = NodeReader(str(path), _WHAT, _NEEDS)
        self._root = self._reader.compose(text)
        values = self._reader.values(self._root)
        for section in ("columns", "actions"):
            self._spell_out(values, section)
        try:
            written = _File.model_validate(values)
        except ValidationError as error:
            wrong = error.errors(include_url=False)[0]
            self.fail(_message(wrong), *(part for part in wrong["loc"] if part not in _UNIONS))
        self.control_step, self.episode_steps = written.control_step, written.episode_steps
        self.columns, self.actions = written.columns, written.actions
        self.fixtures, self.hand = written.fixtures, written.hand
        self._check_ranges()
        self._check_names()

    def fail(self, text: str, *place: str | int) -> NoReturn:
        """Raises TaskError of the line that says what stands at `place`."""
        self._reader.fail(find(self._root, place), text)

    @staticmethod
    def _spell_out(values: Any, section: str) -> None:
        """A column with nothing behind its name has no unit and no bounds."""
        found = values.get(section) if isinstance(values, dict) else None
        if isinstance(found, dict):
            found.update({name: {} for name, value in found.items() if value is None})

    def _check_ranges(self) -> None:
        for section, parts in (("columns", self.columns), ("actions", self.actions)):
            self._check_range(section, parts)
        for name, column in self.columns.items():
            if column.angle and column.unit not in ("rad", ""):
                problem = (
                    f"angles are read in radians, not {quoted(column.unit)}; let the mapping convert them"
                )
                self.fail(problem, "columns", name, "unit")

    def _check_range(self, section: str, parts: Mapping[str, DeclaredColumn | DeclaredAction]) -> None:
        for name, part in parts.items():
            if (part.low is None) != (part.high is None):
                given = "low" if part.high is None else "high"
                self.fail(f"{name} has {given} alone; give both, or neither", section, name, given)
            if part.low is not None and part.high is not None and not part.low < part.high:
                self.fail(f"{name}: low {part.low:g} is not below high {part.high:g}", section, name, "low")

    def _check_names(self) -> None:
        """Every column that is named is there, and those that need bounds have them."""
        for name, fixture in self.fixtures.items():
            self._bounded(fixture.position, "fixtures", name, "position")
            if fixture.velocity is not None:
                self._column(fixture.velocity, "fixtures", name, "velocity")
            for i, part in enumerate(fixture.handle or ()):
                self._column(part, "fixtures", name, "handle", i)
            if (fixture.velocity is None) != (fixture.handle is None):
                given = "velocity" if fixture.handle is None else "handle"
                self.fail(
                    f"{name} has {given} alone; give velocity and handle, or neither", "fixtures", name, given
                )
            if fixture.handle is not None and self.hand is None:
                self.fail(
                    f"{name} has a handle, but there is no 'hand' that could hold it",
                    "fixtures",
                    name,
                    "handle",
                )
            self._check_targets(name, fixture)
        self._check_hand()

    def _check_targets(self, name: str, fixture: DeclaredFixture) -> None:
        column = self.columns[fixture.position]
        targets = fixture.target if isinstance(fixture.target, dict) else {None: fixture.target}
        for task, target in targets.items():
            place = ("fixtures", name, "target", *([task] if task else []))
            if target is not None and not (column.low or 0.0) <= target <= (column.high or 0.0):
                self.fail(
                    f"target {target:g} is outside of {fixture.position}, {column.low:g} to {column.high:g}",
                    *place,
                )

    def _check_hand(self) -> None:
        if self.hand is None:
            return
        for i, column in enumerate(self.hand.position):
            self._bounded(column, "hand", "position", i)
        for i, column in enumerate(self.hand.velocity or ()):
            self._column(column, "hand", "velocity", i)
        for i, action in enumerate(self.hand.actions or ()):
            if action not in self.actions:
                self.fail(
                    f"no action {quoted(action)}{nearest(action, list(self.actions))}", "hand", "actions", i
                )

    def _column(self, name: str, *place: str | int) -> None:
        if name not in self.columns:
            self.fail(f"no column {quoted(name)}{nearest(name, list(self.columns))}", *place)

    def _bounded(self, name: str, *place: str | int) -> None:
        self._column(name, *place)
        column = self.columns[name]
        if column.low is None:
            self.fail(f"{name} needs low and high: it is to be brought to places in between", "columns", name)
        if column.angle:
            self.fail(
                f"{name} has bounds that it cannot leave; an 'angle' turns freely", "columns", name, "angle"
            )


_UNIONS = ("float", "constrained-float", "dict[constrained-str,constrained-float]")
"""Parts of pydantic's places that name a choice of types, not something in the file."""

_MODELS: Mapping[str, type[BaseModel]] = {
    "columns": DeclaredColumn,
    "actions": DeclaredAction,
    "fixtures": DeclaredFixture,
    "hand": DeclaredHand,
}


def _message(wrong: ErrorDetails) -> str:
    """One of pydantic's errors in a line."""
    place, of = [str(part) for part in wrong["loc"] if part not in _UNIONS], wrong["type"]
    if of == "missing":
        where = f"{place[-2]} has" if len(place) > 1 else "the file has"
        return f"{where} no '{place[-1]}'; add '{place[-1]}: ...'"
    if of == "extra_forbidden":
        known = _File if len(place) < 2 else _MODELS[place[0]]
        return f"no key {quoted(place[-1])}{nearest(place[-1][:60], list(known.model_fields))}"
    if of == "string_pattern_mismatch":
        return f"{quoted(str(wrong['input']))} is no name: begin with a letter, go on with letters, digits and _.-/"
    if of == "model_type":
        return f"{place[-1]} needs 'key: value' lines, not {kind(wrong['input'])}" if place else (
            f"an environment is 'key: value' lines, not {kind(wrong['input'])}"
        )  # fmt: skip
    return f"{place[-1]} {wrong['msg'].partition(' ')[2]}, not {kind(wrong['input'])}"
