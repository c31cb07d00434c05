"""The card of a model or dataset, `card.json`: what it is, what was measured, and the checksum of every file.

The card is bound by a checksum over its own content, as every state of mbtransfer: what was edited is found. Whoever
edits on purpose can compute a new checksum; that is found by measuring again (`mbtransfer verify`).
"""

import json
import math
import re
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mbtransfer.errors import UserError
from mbtransfer.evaluation.statistics import wilson_interval
from mbtransfer.runtime.files import SEAL, read_sealed, write_sealed
from mbtransfer.sharing.contents import CARD, PAGE, FileRecord, Kind, check_name
from mbtransfer.validation import problems

FORMAT, VERSION = "mbtransfer card", 1

REMEDY = "pull it again, or take it from somebody else"

Interval = tuple[float, float]


@dataclass(frozen=True)
class TaskFigure:
    """What a task or recipe was measured at.

    Attributes:
        name: of the task or recipe.
        kind: `task` or `recipe`.
        split: `source`, `held_out`, `recipes` or `user`.
        definition: digest of what the task asks for.
        seeds: of the episodes.
        episodes: per seed.
        successes: of all episodes.
        success: their share.
        success_ci95: Wilson's 95% interval.
        endless: it cannot be succeeded in; its return counts.
        return_mean: mean return.
        return_ci95: its bootstrap interval.
        return_std: standard deviation over episodes; 0 with one.
    """

    name: str
    kind: str
    split: str
    definition: str
    seeds: tuple[int, ...]
    episodes: int
    successes: int
    success: float
    success_ci95: Interval
    endless: bool
    return_mean: float
    return_ci95: Interval
    return_std: float

    def __post_init__(self) -> None:
        if not self.seeds or self.episodes < 1 or not 0 <= self.successes <= self.total:
            raise ValueError(f"{self.name}: {self.successes} successes of {self.total} episodes")
        expected = (self.successes / self.total, *wilson_interval(self.successes, self.total))
        if not all(map(_close, (self.success, *self.success_ci95), expected)):
            raise ValueError(f"{self.name}: its success is not that of its counts")

    @property
    def total(self) -> int:
        """Episodes of all seeds."""
        return self.episodes * len(self.seeds)


@dataclass(frozen=True)
class SplitFigure:
    """Mean success over the tasks of a split, with its stratified bootstrap interval."""

    split: str
    tasks: int
    episodes: int
    success: float
    success_ci95: Interval


@dataclass(frozen=True)
class Measurement:
    """Rows that `evaluate` wrote with one group of settings.

    Attributes:
        source: name of the file of rows.
        rows_sha256: its checksum.
        command: what measures the same again.
        settings: all that the rows depend on.
        made_on: versions and processors of the machines that measured; empty where the rows do not say.
        tasks: figures of each task.
        splits: means over tasks, where a split has several that can be succeeded in.
    """

    source: str
    rows_sha256: str
    command: str
    settings: dict[str, Any]
    made_on: tuple[dict[str, Any], ...]
    tasks: tuple[TaskFigure, ...]
    splits: tuple[SplitFigure, ...]

    def __post_init__(self) -> None:
        for split in self.splits:
            inside = [one for one in self.tasks if one.split == split.split and not one.endless]
            if not inside or not _close(split.success, sum(one.success for one in inside) / len(inside)):
                raise ValueError(f"{split.split}: its success is not that of its tasks")


@dataclass(frozen=True)
class Card:
    """What travels with a model or dataset.

    Attributes:
        kind: `model` or `dataset`.
        name: its title.
        environment: name of the environment.
        digest: what identifies the weights and sample of a model, or the data of a dataset.
        licence: as the author states it; None if he does not.
        trained_on: of a model, its pool; of a dataset, what it holds.
        limits: what is known to be unknown: `coverage` of fixtures and findings of `check`.
        measurements: of a model.
        versions: of mbtransfer and what it builds on, where the card was written.
        processor: name and abilities of the processor there.
        files: records by path.
    """

    kind: Kind
    name: str
    environment: str
    digest: str
    licence: str | None
    trained_on: dict[str, Any]
    limits: dict[str, Any]
    measurements: tuple[Measurement, ...]
    versions: dict[str, str | None]
    processor: dict[str, Any]
    files: dict[str, FileRecord] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, one in self.files.items():
            if name != PAGE:
                check_name(name, self.kind, CARD)
            if one.size < 0 or not re.fullmatch(r"[0-9a-f]{64}", one.sha256):
                raise ValueError(f"{name}: it has no size or checksum")

    def content(self) -> dict[str, Any]:
        """The card in plain values."""
        return {"format": FORMAT, "version": VERSION, **asdict(self)}

    @cached_property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(one.size for one in self.files.values())


def _close(found: float, expected: float) -> bool:
    return math.isclose(
        found, expected, rel_tol=1e-6, abs_tol=1e-6
    )  # the last digits differ between libraries


def write_card(path: Path, card: Card) -> str:
    """Write `card.json` and give its checksum.

    Raises:
        UserError: it cannot be written.
    """
    write_sealed(path, card.content())
    return str(json.loads(path.read_text("utf-8"))[SEAL])


def read_card(folder: Path) -> tuple[Card, str]:
    """The card in a folder, and its checksum.

    Raises:
        UserError: there is none, it was edited, or it is of another version.
    """
    path = folder / CARD
    content = read_sealed(path, REMEDY)
    if content is None:
        raise UserError(f"{folder} has no {CARD}: it was not written by `mbtransfer push`")
    if content.pop("format", None) != FORMAT:
        raise UserError(f"{path} is no card of mbtransfer")
    if (version := content.pop("version", None)) != VERSION:
        raise UserError(f"{path} has format version {version}, this program reads {VERSION}")
    try:
        card = TypeAdapter(Card).validate_python(content)
    except ValidationError as error:
        raise UserError(f"{path} is no card that holds together ({problems(error)[0]}); {REMEDY}") from error
    return card, str(json.loads(path.read_text("utf-8"))[SEAL])
