"""One trial: its stored record and its history so far."""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from mbtransfer.errors import UserError
from mbtransfer.runtime.files import read_sealed, write_sealed
from mbtransfer.tracking.tracker import HISTORY, SUMMARY, figures
from world_models.checkpoint.atomic import listed

RECORD = "trial.json"

State = Literal["running", "finished", "stopped", "failed"]


@dataclass(frozen=True)
class Trial:
    """One set of parameters and what came of it.

    Attributes:
        number: from 0, in the order in which they were proposed.
        params: of the command.
        state: `running` until it ends; a killed sweep takes it up again.
        metric: what is looked for; None until there is any.
        seconds: that it took.
        note: why it failed.
        figures: all numbers of its summary.
        history: its points, in order.
    """

    number: int
    params: dict[str, Any]
    state: State = "running"
    metric: float | None = None
    seconds: float = 0.0
    note: str = ""
    figures: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"trial-{self.number:04d}"

    def heard(self, folder: Path) -> "Trial":
        """The same with what its command has written to the folder so far."""
        return replace(self, figures=_figures(folder / SUMMARY), history=_history(folder / HISTORY))

    def save(self, folder: Path) -> None:
        """Write the record.

        Raises:
            UserError: the folder cannot be written.
        """
        write_sealed(folder / RECORD, asdict(self))


def read_trials(out: Path) -> list[Trial]:
    """The trials in a sweep's folder, in order.

    Raises:
        UserError: a record is damaged.
    """
    found = []
    for path in listed(out, f"trial-*/{RECORD}"):
        remedy = "remove its folder to do the trial again"
        try:
            trial = Trial(**(read_sealed(path, remedy) or {}))
        except TypeError as error:
            raise UserError(f"{path} is of another version; {remedy}") from error
        if path.parent.name != trial.name or not isinstance(trial.params, dict):
            raise UserError(f"{path} is of another trial; {remedy}")
        found.append(trial.heard(path.parent) if trial.state == "running" else trial)
    return found


def _figures(path: Path) -> dict[str, float]:
    with suppress(OSError, ValueError):
        return figures(json.loads(path.read_text(encoding="utf-8")))
    return {}


def _history(path: Path) -> list[dict[str, float]]:
    """Every whole line; the last may still be in the writing. A point that was told twice counts once."""
    points: dict[str, dict[str, float]] = {}
    with suppress(OSError, UnicodeDecodeError):
        for line in path.read_text(encoding="utf-8").splitlines():
            with suppress(ValueError):
                point = json.loads(line)
                axis, at = next(iter(point.items()))
                points[f"{axis} {at}"] = figures(point)
    return list(points.values())
