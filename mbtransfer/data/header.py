"""The dataset header: environment, columns and version."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from mbtransfer.errors import UserError
from mbtransfer.runtime.files import read_sealed, write_sealed, write_text
from mbtransfer.validation import problems
from tasks.environment import COPY, Environment
from tasks.spec import EnvSpec, Variable

HEADER_FILE = "dataset.json"
FORMAT = "mbtransfer dataset"
VERSION = 2
UNSEALED = 1
"""The version that had no checksum; it can still be read."""


def _unlimited(column: Any) -> Any:
    """A column as it is written; a limit that is null becomes infinite."""
    if not isinstance(column, dict):
        return column
    limits = {"low": -math.inf, "high": math.inf}
    return column | {end: limit for end, limit in limits.items() if column.get(end, limit) is None}


Column = Annotated[Variable, BeforeValidator(_unlimited)]


@dataclass(frozen=True)
class Header:
    """What every shard of a dataset must fit.

    Attributes:
        env: name of the environment.
        observation: the O observation columns, in order.
        action: the A action columns, in order.
        state_size: S, size of the simulator state.
        control_dt: seconds per control step.
    """

    env: str
    observation: tuple[Column, ...]
    action: tuple[Column, ...]
    state_size: int
    control_dt: float

    @classmethod
    def of(cls, spec: EnvSpec, state_size: int) -> "Header":
        """Take over what an environment's spec says; the size of the state comes from its simulator."""
        return cls(spec.name, spec.observation, spec.action, int(state_size), float(spec.control_dt))

    def difference(self, other: "Header") -> str | None:
        """Say how `other` differs, in a few words; None when both are the same."""
        if self.env != other.env:
            return f"environment {self.env!r}, not {other.env!r}"
        for kind in ("observation", "action"):
            mine, theirs = getattr(self, kind), getattr(other, kind)
            if len(mine) != len(theirs):
                return f"{len(mine)} {kind} columns, not {len(theirs)}"
            for number, (a, b) in enumerate(zip(mine, theirs, strict=True)):
                if not _same(a, b):
                    return f"{kind} column {number} as {_describe(a)}, not {_describe(b)}"
        if self.state_size != other.state_size:
            return f"{self.state_size} state values, not {other.state_size}"
        if self.control_dt != other.control_dt:
            return f"control steps of {self.control_dt:g} s, not {other.control_dt:g} s"
        return None


def is_dataset(folder: Path) -> bool:
    """Whether the folder holds a dataset, whatever its state."""
    return os.path.lexists(folder / HEADER_FILE)


def write_header(folder: Path, header: Header) -> None:
    """Write DATA/dataset.json; an infinite limit becomes null.

    Raises:
        UserError: the folder cannot be written.
    """
    write_sealed(folder / HEADER_FILE, header_content(header))


def keep_declaration(folder: Path, environment: Environment | None) -> None:
    """Write the text of the file that declares an environment into a folder, so that it travels along.

    Raises:
        UserError: the folder cannot be written.
    """
    if environment is not None and environment.declared:
        write_text(folder / COPY, environment.declared)


def header_content(header: Header) -> dict[str, Any]:
    """A header in plain values; an infinite limit becomes None."""
    content = {"format": FORMAT, "version": VERSION, "env": header.env, "control_dt": header.control_dt}
    content |= {"observation_size": len(header.observation), "action_size": len(header.action)}
    content |= {"state_size": header.state_size}
    for kind in ("observation", "action"):
        columns = (vars(column) for column in getattr(header, kind))
        content[kind] = [
            {
                name: None if isinstance(value, float) and math.isinf(value) else value
                for name, value in c.items()
            }
            for c in columns
        ]
    return content


def read_header(folder: Path) -> Header:
    """Read DATA/dataset.json.

    Raises:
        UserError: there is no dataset, its header is damaged, or its version is another.
    """
    path = folder / HEADER_FILE
    if not folder.exists():
        command = f"`mbtransfer collect --out {folder}`"
        raise UserError(f"there is no dataset at {folder}; make one with {command}")
    content = read_sealed(path, "restore it or collect anew", unsealed=_is_unsealed)
    if content is None:
        raise UserError(f"{folder} is not a dataset: it has no {HEADER_FILE}")
    return parse_header(path, content)


def parse_header(path: Path, content: Any) -> Header:
    """A header from its plain values; `path` is what messages call it.

    Raises:
        UserError: it is none, damaged, or of another version.
    """
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(f"{path.parent} is not a dataset: {path.name} does not say {FORMAT!r}")
    if content.get("version") not in (UNSEALED, VERSION):
        found = content.get("version")
        raise UserError(f"{path} has format version {found}, this program reads version {VERSION}")
    try:
        header = TypeAdapter(Header).validate_python(content)
    except ValidationError as error:
        raise UserError(f"{path} is damaged ({problems(error)[0]}); restore it or collect anew") from error
    sizes = len(header.observation), len(header.action)
    if sizes != (content.get("observation_size"), content.get("action_size")):
        raise UserError(f"{path} is damaged (the sizes do not fit the columns); restore it or collect anew")
    return header


def _is_unsealed(content: Mapping[str, Any]) -> bool:
    return content.get("version") == UNSEALED


def _same(a: Variable, b: Variable) -> bool:
    # Limits are computed from the scene: the last digit may differ between machines.
    limits = math.isclose(a.low, b.low, rel_tol=1e-6), math.isclose(a.high, b.high, rel_tol=1e-6)
    return (a.name, a.unit) == (b.name, b.unit) and all(limits)


def _describe(column: Variable) -> str:
    return f"{column.name!r} [{column.low:g}, {column.high:g}] {column.unit}".rstrip()
