"""Results as rows: one line of `rows.csv` per episode, appended atomically.

The analysis (`mbtransfer.evaluation.statistics`, `mbtransfer.report`) reads these rows and nothing else of the
experiment, as in bsuite (Osband et al. 2020) and rliable (Agarwal et al. 2021). In the file, a name that a spreadsheet
would take for a formula is preceded by an apostrophe, which is removed on reading.
"""

import csv
import io
import math
import os
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from difflib import get_close_matches
from pathlib import Path

import pandas as pd

from mbtransfer.errors import UserError
from mbtransfer.runtime.files import cannot_write
from mbtransfer.runtime.spreadsheet import as_cell, of_cell

CHOICES: dict[str, tuple[str, ...]] = {
    "kind": ("task", "recipe"),
    "split": ("source", "held_out", "recipes", "user"),
    "dynamics": ("learned", "oracle"),
    "reward": ("learned", "true", "distance"),
}
"""The columns that hold one of a few words, and these words in display order."""


@dataclass(frozen=True)
class EpisodeResult:
    """The result of one episode: one line of `rows.csv`.

    Raises:
        UserError: a value is outside its column's range (see `CHOICES`), not finite, or holds a line break.
    """

    task: str
    """Name of the task or recipe."""
    kind: str
    """`task` or `recipe`."""
    split: str
    """`source`, `held_out`, `recipes` or `user`."""
    planner: str
    """Name of the planner."""
    dynamics: str
    """`learned` (the ensemble) or `oracle` (the true simulator)."""
    reward: str
    """Reward used for planning: `learned` (a reward head), `true` (the task's own) or `distance` (a control)."""
    labels: int
    """Labelled transitions behind the reward head; 0 without a head."""
    seed: int
    """Seed of the run: model and episodes."""
    episode: int
    """Number of the episode within its run."""
    success: bool
    """Whether the success predicate held at the end."""
    return_: float
    """Sum of true rewards."""
    steps: int
    """Control steps taken."""
    steps_to_success: int | None
    """Control steps until success; None if the episode failed."""
    steps_done: int
    """Recipe steps finished (0 or 1 for a task)."""
    steps_total: int
    """Recipe steps required (1 for a task, 0 for a task without an end)."""
    plan_ms: float
    """Mean time of one decision in this episode, milliseconds."""
    cut: float = 0.0
    """Share of decisions that the time budget (`--decision-ms`) cut short."""
    infeasible: float = 0.0
    """Share of decisions whose plan was expected to violate a constraint."""
    diverged: int = 0
    """1 if the simulation diverged, which ended the episode without success; otherwise 0."""

    def __post_init__(self) -> None:
        for column in fields(self):
            problem = _problem(column.name, _text(getattr(self, column.name)))
            if problem:
                raise UserError(f"episode of {self.task!r}: {column.name} {problem}")


COLUMNS: tuple[str, ...] = tuple(column.name for column in fields(EpisodeResult))
CHECK = "check"
"""The last column: a checksum of the others, to detect flipped bits."""
HEADER: bytes = (",".join((*COLUMNS, CHECK)) + "\n").encode()
WORDS = ("task", "planner", *CHOICES)
REALS = ("return_", "plan_ms", "cut", "infeasible")
RUN = ("kind", "task", "seed", "planner", "dynamics", "reward", "labels")
"""The columns that identify a run; its episodes are numbered, and each is in a file once."""
LATER = ("cut", "infeasible", "diverged")
"""Columns that older files lack; they are then zero."""


def append_rows(path: Path, rows: Iterable[EpisodeResult]) -> None:
    """Append whole lines to the file at `path` and flush them to disk; there must be only one writer at a time.

    A missing file is created with its header. A last line torn by an earlier kill is dropped first. If the disk
    is full, the file is truncated to its previous content.

    Raises:
        UserError: the file is not a rows file, or cannot be written.
    """
    lines = b"".join(_line(row) for row in rows)
    if not lines:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=0) as file:
            keep = _whole(path, file.readall(), strict=True)
            _write_at(file, keep, lines if keep else HEADER + lines)
    except OSError as error:
        raise UserError(cannot_write(path, error)) from error


def read_rows(path: str | Path, *, checked: bool = False) -> pd.DataFrame:
    """Read every finished line of a rows file; a torn last line is left out.

    A kill or a power failure can interrupt a run in the middle of its lines; the whole run is then appended again, and
    of duplicate episodes the later ones count.

    Args:
        path: path of the file.
        checked: refuse lines without a checksum.

    Returns:
        One row per episode. Words are `str`; `success` is `bool`; counts are `int64`; `return_`, `plan_ms`
        and `steps_to_success` (NaN if the episode failed) are `float64`. Unknown columns are kept as text.

    Raises:
        UserError: no such file, not a rows file, or a line that cannot be read (named by its number).
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    try:
        text = content[: _whole(path, content, strict=False)].decode()
        records = [[of_cell(cell) for cell in line] for line in csv.reader(io.StringIO(text, newline=""))]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is not a rows file: {error}") from error
    names = records[0] if records else list(COLUMNS)
    if checked and len(records) > 1 and CHECK not in names:
        raise UserError(f"{path} is not as it was written: its column {CHECK!r} is missing")
    for number, record in enumerate(records[1:], start=2):
        _check_record(path, number, names, record)
    frame = pd.DataFrame(records[1:], columns=names, dtype=str).drop(columns=CHECK, errors="ignore")
    frame = _typed(frame)
    known = [*RUN, "episode", *(name for name in frame if name not in COLUMNS)]
    return frame.drop_duplicates(known, keep="last", ignore_index=True)


def _whole(path: Path, content: bytes, strict: bool) -> int:
    """Length of the whole lines in `content`; 0 if a kill left only a part of the header."""
    if HEADER.startswith(content) and content != HEADER:
        return 0
    header = content.split(b"\n", 1)[0].decode(errors="replace").rstrip("\r").split(",")
    unknown = [name for name in header if name not in (*COLUMNS, CHECK)]
    for name in (*COLUMNS, CHECK):
        if header.count(name) > 1:
            raise UserError(f"{path} is not a rows file: its first line has the column {name!r} twice")
        near = [] if name in header else get_close_matches(name, unknown, n=1)
        if near or (name not in header and name not in (*LATER, CHECK)):
            hint = f", only {near[0]!r}" if near else ""
            raise UserError(f"{path} is not a rows file: its first line has no column {name!r}{hint}")
    if strict and tuple(header) != (*COLUMNS, CHECK):
        raise UserError(f"cannot append to {path}: its columns are from another version; choose a new file")
    return content.rfind(b"\n") + 1


def _write_at(file: io.FileIO, position: int, data: bytes) -> None:
    """Write `data` after the first `position` bytes; on failure keep only those bytes."""
    file.truncate(position)
    file.seek(position)
    try:
        remaining = memoryview(data)
        while remaining:
            remaining = remaining[file.write(remaining) :]
        os.fsync(file.fileno())
    except BaseException:  # including Ctrl-C: half a line must not stay
        file.truncate(position)
        raise


def _line(row: EpisodeResult) -> bytes:
    cells = [_text(value) for value in astuple(row)]
    return _joined([*(str(as_cell(cell)) for cell in cells), _checksum(cells)]).encode()


def _joined(cells: Sequence[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue()


def _checksum(cells: Sequence[str]) -> str:
    return f"{zlib.crc32(_joined(cells).encode()):08x}"


def _text(value: object) -> str:
    """A value as text: True as 1, None as an empty string, numbers with all digits."""
    if value is None or isinstance(value, str):
        return value or ""
    if hasattr(value, "item"):  # write a NumPy scalar as a plain number
        value = value.item()
    return str(int(value)) if isinstance(value, bool) else str(value)


def _problem(name: str, text: str) -> str | None:
    """What is wrong with `text` in column `name`, or None."""
    if name in CHOICES:
        return None if text in CHOICES[name] else f"is {text!r}, not one of {', '.join(CHOICES[name])}"
    if name in WORDS:
        return None if text and text.isprintable() else f"is {text!r}, not a name"
    if name == "steps_to_success" and not text:
        return None
    try:
        value = float(text) if name in REALS else int(text)
    except ValueError:
        return f"is {text!r}, not a {'number' if name in REALS else 'whole number'}"
    known = math.isfinite(value) if isinstance(value, float) else abs(value) < 2**63
    if not known or (value < 0 and name not in ("return_", "seed")):
        return f"is {text}, which cannot be"
    if name in ("success", "diverged") and value > 1:
        return f"is {text}, not 0 or 1"
    return f"is {text}, not a share from 0 to 1" if name in LATER and value > 1 else None


def _check_record(path: Path, number: int, names: list[str], record: list[str]) -> None:
    if len(record) != len(names):
        raise UserError(f"{path} line {number}: {len(record)} fields where the header has {len(names)}")
    for name, text in zip(names, record, strict=True):
        problem = _problem(name, text) if name in COLUMNS else None
        if problem:
            raise UserError(f"{path} line {number}: {name} {problem}")
    if CHECK in names:
        cells = dict(zip(names, record, strict=True))
        if cells[CHECK] != _checksum([cells.get(name, "") for name in COLUMNS]):
            raise UserError(
                f"{path} line {number} is not as it was written: its checksum does not match; remove the line, or the "
                f"column {CHECK!r} if the file was edited on purpose"
            )


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame.assign(**{name: "0" for name in LATER if name not in frame})
    for name in COLUMNS:
        if name in (*REALS, "steps_to_success"):
            frame[name] = pd.Series([float(text or "nan") for text in frame[name]], dtype="float64")
        elif name not in WORDS:
            frame[name] = pd.Series([int(text) for text in frame[name]], dtype="int64")
    return frame.astype({"success": bool})
