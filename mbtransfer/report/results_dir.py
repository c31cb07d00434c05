"""Reader of a results folder that tolerates missing or broken parts."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mbtransfer.errors import UserError
from mbtransfer.evaluation import statistics
from mbtransfer.evaluation.results_store import read_results
from mbtransfer.runtime.files import MOST_BYTES

ROWS, FIT, DIAGNOSTICS, SUMMARY, MEDIA = "rows.csv", "fit.csv", "diagnostics.json", "summary.json", "media"
LARGEST = 1e12
"""Larger numbers are treated as missing, like NaN and infinity."""
KNOWN = (ROWS, SUMMARY, FIT, DIAGNOSTICS, MEDIA)


class MissingPart(Exception):
    """A part of the report cannot be drawn; the message is the sentence shown in its place."""


@dataclass(frozen=True)
class Material:
    """The files of one results folder; a missing part is empty, and `absent` gives the reason by file name."""

    directory: Path
    rows: pd.DataFrame | None
    fit: pd.DataFrame | None
    diagnostics: dict[str, Any]
    summary: dict[str, Any]
    absent: dict[str, str]
    written: str

    def need(self, name: str) -> None:
        """Raise MissingPart with the reason if the file `name` is missing."""
        if name in self.absent:
            raise MissingPart(self.absent[name])

    def part(self, file: str, *keys: str) -> Any:
        """The value under `keys` in `diagnostics.json` or `summary.json`, or MissingPart."""
        self.need(file)
        value: Any = self.diagnostics if file == DIAGNOSTICS else self.summary
        for key in keys:
            if not isinstance(value, dict) or value.get(key) is None:
                raise MissingPart(f"{file} has no “{'.'.join(keys)}”.")
            value = value[key]
        return value

    def headline(self, dynamics: str) -> pd.DataFrame:
        """The rows of `rows.csv` that represent `dynamics`; see `statistics.headline`."""
        self.need(ROWS)
        assert self.rows is not None
        return statistics.headline(self.rows, dynamics)


def read_results_dir(directory: Path) -> Material:
    """Read all known files of `directory`.

    Raises:
        UserError: no such folder, or nothing in it that a report could show.
    """
    if not directory.is_dir():
        raise UserError(f"no results folder at {directory}; give the --out folder of `mbtransfer demo`")
    found = [directory / name for name in KNOWN if (directory / name).exists()]
    if not found:
        raise UserError(f"nothing to report in {directory}: it holds none of {', '.join(KNOWN)}")
    absent = {name: f"There is no {name} in this folder." for name in KNOWN if directory / name not in found}
    newest = max(path.stat().st_mtime for path in found)
    return Material(
        directory,
        rows=_table(directory / ROWS, absent),
        fit=_table(directory / FIT, absent),
        diagnostics=_mapping(directory / DIAGNOSTICS, absent),
        summary=_mapping(directory / SUMMARY, absent),
        absent=absent,
        written=datetime.fromtimestamp(newest, UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def read_numbers(value: Any, where: str) -> NDArray[np.float64]:
    """`value` as a vector, with NaN where an entry is null.

    Raises:
        MissingPart: it is not a list of numbers.
    """
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise MissingPart(f"{where} does not hold plain numbers.") from error
    if array.ndim != 1:
        raise MissingPart(f"{where} is not a list of numbers.")
    return array


def columns(table: Any, names: Sequence[str], where: str) -> list[NDArray[np.float64]]:
    """The lists `names` of `table` as vectors of one length, without entries that are not finite in all of them.

    Raises:
        MissingPart: a list is missing, the lengths differ, or nothing finite is left.
    """
    if not isinstance(table, dict) or not all(name in table for name in names):
        raise MissingPart(f"{where} lacks one of {', '.join(names)}.")
    vectors = [read_numbers(table[name], f"{where}, {name},") for name in names]
    if len({len(vector) for vector in vectors}) > 1:
        raise MissingPart(f"The lists in {where} differ in length.")
    finite = (np.abs(vectors) <= LARGEST).all(axis=0)
    if not finite.any():
        raise MissingPart(f"{where} holds no finite numbers.")
    return [vector[finite] for vector in vectors]


def _table(path: Path, absent: dict[str, str]) -> pd.DataFrame | None:
    if path.name in absent:
        return None
    try:
        table = read_results(path) if path.name == ROWS else pd.read_csv(path)
    except (UserError, ValueError, OSError) as error:
        absent[path.name] = f"{path.name} could not be read: {_one_line(error)}."
        return None
    if table.empty:
        absent[path.name] = f"{path.name} holds no finished lines yet."
    return table


def _mapping(path: Path, absent: dict[str, str]) -> dict[str, Any]:
    if path.name in absent:
        return {}
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES >> 20} MB")
        text = path.read_text(encoding="utf-8")
        value = json.loads(
            text, parse_float=_finite_number, parse_int=_finite_number, parse_constant=lambda _: None
        )
    except (ValueError, OSError, RecursionError) as error:
        absent[path.name] = f"{path.name} could not be read: {_one_line(error)}."
        return {}
    if not isinstance(value, dict):
        absent[path.name] = f"{path.name} does not hold a JSON object."
        return {}
    return value


def _finite_number(text: str) -> int | float | None:
    """A number of a JSON file; None if it is too large to be a plausible result or to be drawn."""
    number = float(text)
    if not abs(number) <= LARGEST:
        return None
    return number if set(text) & set(".eE") else int(text)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
