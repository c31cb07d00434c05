"""CSV tables with one-line errors for what is wrong in them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from mbtransfer.errors import UserError
from tasks.spec import EnvSpec, nearest

TRUTH = {"1": True, "true": True, "1.0": True, "0": False, "false": False, "0.0": False}
"""What a column of truth values may hold, in small or capital letters."""


def read_table(path: Path, columns: Sequence[str], spec: EnvSpec) -> pd.DataFrame:
    """Read a CSV table as texts, without its empty rows; the index numbers the rows of the file.

    Args:
        path: of the file.
        columns: what it must hold; it may hold more.
        spec: of the environment that the columns are of.

    Raises:
        UserError: one line: it cannot be read, is no table, lacks a column, or is of another environment.
    """
    try:
        frame = pd.read_csv(path, dtype=str, na_filter=False, skip_blank_lines=False, encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:  # pandas' errors of parsing, and not UTF-8
        raise UserError(f"{path}: not a CSV table ({' '.join(str(error).split())})") from error
    if len(frame.columns) == 1 and ";" in frame.columns[0]:
        raise UserError(f"{path}: separated by semicolons; save it with commas, and with decimal points")
    if not isinstance(frame.index, pd.RangeIndex):  # pandas takes the first column for names of rows
        raise UserError(f"{path}: not a CSV table (its rows have more cells than its first line)")
    missing = [name for name in columns if name not in frame.columns]
    if len(missing) > len(columns) // 2:
        raise UserError(
            f"{path}: not a table of {spec.name}: {len(missing)} of {len(columns)} columns are missing, "
            f"such as {missing[0]!r}"
        )
    if missing:
        others = [name for name in frame.columns if name not in columns]
        raise UserError(f"{path}: no column {missing[0]!r}{nearest(missing[0], others) if others else ''}")
    return frame[(frame != "").any(axis=1)]


def numbers(frame: pd.DataFrame, columns: Sequence[str], path: Path) -> Float[np.ndarray, "N C"]:
    """Columns of texts as float32.

    Raises:
        UserError: `FILE:LINE: ...`: a cell holds no finite number.
    """
    with np.errstate(over="ignore"):  # too large is infinite, and refused
        found = frame[list(columns)].apply(pd.to_numeric, errors="coerce").to_numpy(np.float32, copy=True)
    for row, column in np.argwhere(~np.isfinite(found)).tolist():
        text = frame[columns[column]].iloc[row]
        raise UserError(f"{_place(path, frame, row)}: {columns[column]} is {text!r}, not a finite number")
    return found


def truths(
    frame: pd.DataFrame, column: str, path: Path, needed: Bool[np.ndarray, " N"] | None = None
) -> Bool[np.ndarray, " N"]:
    """A column of texts as truth values; False in rows where none is `needed`.

    Raises:
        UserError: `FILE:LINE: ...`: a cell is neither 1 nor 0.
    """
    found = frame[column].str.strip().str.lower().map(TRUTH)
    known, asked = found.notna().to_numpy(), np.ones(len(frame), dtype=bool) if needed is None else needed
    for row in np.flatnonzero(asked & ~known).tolist():
        raise UserError(f"{_place(path, frame, row)}: {column} is {frame[column].iloc[row]!r}; write 1 or 0")
    return found.eq(True).to_numpy(bool) & asked


def _place(path: Path, frame: pd.DataFrame, row: int) -> str:
    """`FILE:LINE` of a row; the header is line 1."""
    return f"{path}:{int(frame.index[row]) + 2}"
