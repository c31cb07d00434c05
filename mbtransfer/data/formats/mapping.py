"""Mapping files: which column of a log is which column of the environment, with errors by file, line and column.

time: t
time_unit: ms
episode: run
columns:
  shoulder: q1
  elbow: {from: q2, unit: deg}
  drawer: {from: drawer_mm, factor: 0.001, offset: -0.02}
actions:
  shoulder_target: u1
reward: r
"""

import math
from collections.abc import Mapping as Named
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from tasks.recipe.yaml_reader import NodeReader, find, kind, quoted, read_source
from tasks.spec import EnvSpec, Variable, nearest

UNITS: Named[str, float] = {
    "deg": math.pi / 180, "deg/s": math.pi / 180, "rpm": 2 * math.pi / 60, "mm": 1e-3, "cm": 1e-2, "mm/s": 1e-3,
    "cm/s": 1e-2, "g": 1e-3, "percent": 1e-2,
}  # fmt: skip
"""By what values of these units are multiplied: radians, metres, kilograms and shares come out."""

SECONDS: Named[str, float] = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}

TIMES = ("time", "timestamp", "t")
"""What a column of times (s) is called where no mapping names it; the first one that is there."""

Name = Annotated[str, Field(min_length=1, max_length=300)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class MappedColumn(BaseModel):
    """Where a column comes from, and how its values become the environment's: value * factor + offset."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    source: Annotated[Name, Field(alias="from")]
    unit: Literal["deg", "deg/s", "rpm", "mm", "cm", "mm/s", "cm/s", "g", "percent"] | None = None
    factor: Number = 1.0
    offset: Number = 0.0

    @property
    def scale(self) -> float:
        """By what values are multiplied."""
        return self.factor * (UNITS[self.unit] if self.unit else 1.0)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    time: Name | None = None
    time_unit: Literal["s", "ms", "us", "ns"] = "s"
    rate: Annotated[Number, Field(gt=0)] | None = None
    episode: Name | None = None
    columns: Annotated[dict[Name, MappedColumn], Field(min_length=1)]
    actions: Annotated[dict[Name, MappedColumn], Field(min_length=1)]
    reward: Name | None = None


@dataclass(frozen=True)
class ColumnMapping:
    """Where each column of an environment comes from, in the environment's order.

    Attributes:
        columns: of the observation.
        actions: of the action.
        time: column of times; None where rows are `rate` per second, or are to be found by name (`TIMES`).
        time_scale: seconds per unit of it.
        rate: rows per second of a log without times.
        episode: column that tells episodes apart; None where each file is one.
        reward: column of rewards.
        source: the file, as messages call it; empty without one.
        lines: line and column of each entry, as `LINE:COLUMN`, by the column of the environment.
    """

    columns: tuple[MappedColumn, ...]
    actions: tuple[MappedColumn, ...]
    time: str | None = None
    time_scale: float = 1.0
    rate: float | None = None
    episode: str | None = None
    reward: str | None = None
    source: str = ""
    lines: Named[str, str] = field(default_factory=dict)

    def where(self, column: str) -> str:
        """`FILE:LINE:COLUMN: ` of the entry that names a source column; empty without a mapping file."""
        return f"{self.source}:{self.lines.get(column, '1:1')}: " if self.source else ""


def by_names(spec: EnvSpec) -> ColumnMapping:
    """The mapping of a log whose columns are called as the environment's are."""
    columns, actions = (
        tuple(MappedColumn(source=one.name) for one in side) for side in (spec.observation, spec.action)
    )
    return ColumnMapping(columns, actions)


def read_mapping(path: Path, spec: EnvSpec) -> ColumnMapping:
    """Read a mapping file; every column and action of the environment must be in it, and no other.

    Raises:
        TaskError: `FILE:LINE:COLUMN: what is wrong`.
    """
    reader = NodeReader(str(path), "mapping", "'columns' and 'actions'")
    root = reader.compose(read_source(path, "a mapping file (.yaml)", "mapping"))

    def fail(text: str, *place: str | int) -> NoReturn:
        reader.fail(find(root, place), text)

    try:
        file = _File.model_validate(_spelled(reader.values(root)))
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        fail(_message(wrong), *wrong["loc"])
    if file.time is not None and file.rate is not None:
        fail("time and rate are both given; rows have their own times, or come at a rate", "rate")
    lines = dict[str, str]()

    def ordered(
        section: str, known: tuple[Variable, ...], found: Named[str, MappedColumn]
    ) -> tuple[Any, ...]:
        names = [one.name for one in known]
        for name, one in found.items():
            if name not in names:
                fail(f"{spec.name} has no {section[:-1]} {quoted(name)}{nearest(name, names)}", section, name)
            mark = find(root, (section, name)).start_mark
            lines.setdefault(one.source, f"{mark.line + 1}:{mark.column + 1}")
        missing = [name for name in names if name not in found]
        if missing:
            fail(
                f"nothing is said of {section[:-1]} {quoted(missing[0])}; add '{missing[0]}: COLUMN'", section
            )
        return tuple(found[name] for name in names)

    columns = ordered("columns", spec.observation, file.columns)
    actions = ordered("actions", spec.action, file.actions)
    for key in ("time", "episode", "reward"):
        if name := getattr(file, key):
            mark = find(root, (key,)).start_mark
            lines.setdefault(name, f"{mark.line + 1}:{mark.column + 1}")
    return ColumnMapping(
        columns, actions, file.time, SECONDS[file.time_unit], file.rate, file.episode, file.reward,
        reader.source, lines,
    )  # fmt: skip


def _spelled(values: Any) -> Any:
    """`name: COLUMN` written out as `name: {from: COLUMN}`."""
    if isinstance(values, dict):
        for section in ("columns", "actions"):
            found = values.get(section)
            if isinstance(found, dict):
                found.update({name: {"from": one} for name, one in found.items() if isinstance(one, str)})
    return values


def _message(wrong: ErrorDetails) -> str:
    place, of = [str(part) for part in wrong["loc"]], wrong["type"]
    if of == "missing":
        return f"no '{place[-1]}'; add '{place[-1]}: ...'"
    if of == "extra_forbidden":
        known = list(_File.model_fields) if len(place) < 2 else ["from", "unit", "factor", "offset"]
        return f"no key {quoted(place[-1])}{nearest(place[-1][:60], known)}"
    if of == "model_type":
        shown = kind(wrong["input"])
        return (
            f"{place[-1]} needs a column, not {shown}"
            if place
            else f"a mapping is 'key: value' lines, not {shown}"
        )
    if of == "literal_error":
        known = list(SECONDS if place[-1] == "time_unit" else UNITS)
        return f"{place[-1]} cannot be {kind(wrong['input'])}; there are {', '.join(known)}"
    return f"{place[-1]} {wrong['msg'].partition(' ')[2]}, not {kind(wrong['input'])}"
