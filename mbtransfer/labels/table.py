"""CSV tables with one-line errors for what is wrong in them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from mbtransfer.errors import UserError
from tasks.spec import EnvSpec, nearest


def read_table(path: Path, columns: Sequence[str], spec: EnvSpec) -> pd.DataFrame:
    """Read a CSV table as texts.

    Args:
        path: of the file.
        columns: what it must hold; it may hold more.
        spec: of the environment that the columns are of.

    Raises:
        UserError: one line: it cannot be read, is no table, lacks a column, or is of another environment.
    """
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:  # pandas' errors of parsing, and not UTF-8
        raise UserError(f"{path}: not a CSV table ({' '.join(str(error).split())})") from error
    missing = [name for name in columns if name not in frame.columns]
    if len(missing) > len(columns) // 2:
        raise UserError(
            f"{path}: not a table of {spec.name}: {len(missing)} of {len(columns)} columns are missing, "
            f"such as {missing[0]!r}"
        )
    if missing:
        others = [name for name in frame.columns if name not in columns]
        raise UserError(f"{path}: no column {missing[0]!r}{nearest(missing[0], others) if others else ''}")
    return frame


def numbers(frame: pd.DataFrame, columns: Sequence[str], path: Path) -> Float[np.ndarray, "N C"]:
    """Columns of texts as float32.

    Raises:
        UserError: `FILE:LINE: ...`: a cell holds no finite number.
    """
    with np.errstate(over="ignore"):  # too large is infinite, and refused
        found = frame[list(columns)].apply(pd.to_numeric, errors="coerce").to_numpy(np.float32, copy=True)
    for row, column in np.argwhere(~np.isfinite(found)).tolist():
        text = frame[columns[column]].iloc[row]
        raise UserError(f"{place(path, row)}: {columns[column]} is {text!r}, not a finite number")
    return found


def place(path: Path, row: int) -> str:
    """`FILE:LINE` of a row; the header is line 1."""
    return f"{path}:{row + 2}"
