"""Readers of logs in CSV and Parquet: a file or a folder of them, and a mapping."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.data.formats.convert import extra, readable, refuse_huge
from mbtransfer.data.formats.logs import LogNotes, LogTable, log_episodes
from mbtransfer.data.formats.mapping import TIMES, ColumnMapping, MappedColumn
from mbtransfer.data.formats.source import Source
from mbtransfer.errors import UserError
from tasks.spec import EnvSpec, nearest

Columns = Mapping[str, ndarray]
"""Columns of a table by name: numbers, and texts where a column holds some."""


EMPTY = ("", "nan", "null", "none")
"""What cells without a value hold."""


def read_tables(path: Path, kind: str, mapping: ColumnMapping, spec: EnvSpec) -> Source:
    """A log in one file, or in a folder with one file per episode.

    Args:
        path: the file or folder.
        kind: `csv` or `parquet`; also the ending of the files in a folder.
        mapping: which column is which.
        spec: of the environment.

    Raises:
        UserError: nothing to read, a damaged file, a column that is not there, or text for a number.
    """
    files = sorted(path.glob(f"*.{kind}")) if path.is_dir() else [path]
    if not path.exists() or not files:
        what = f"a file or a folder with files that end with .{kind}"
        raise UserError(
            f"{kind}:{path}: {'no such file or folder' if not path.exists() else f'needs {what}'}"
        )
    read = {"csv": read_csv, "parquet": read_parquet}[kind]
    notes = LogNotes(path.name, spec.control_dt, unused=unused(list(read(files[0])), mapping))
    tables = partial(_tables, files, read, mapping)
    return Source(
        path.name, spec.name, tuple(one.name for one in spec.observation),
        lambda: log_episodes(tables, notes), control_dt=spec.control_dt, notes=notes,
    )  # fmt: skip


def read_csv(path: Path) -> Columns:
    """The columns of a CSV file with names in its first line; an empty cell is not a number.

    Raises:
        UserError: it is no such table.
    """
    try:
        frame = pd.read_csv(path, dtype=str, na_filter=False, skip_blank_lines=True, encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:  # pandas' errors of parsing, and not UTF-8
        raise UserError(f"{path}: not a CSV table ({' '.join(str(error).split())})") from error
    if len(frame.columns) == 1 and ";" in str(frame.columns[0]):
        raise UserError(f"{path}: separated by semicolons; save it with commas, and with decimal points")
    if not isinstance(frame.index, pd.RangeIndex):  # pandas takes the first column for names of rows
        raise UserError(f"{path}: not a CSV table (its rows have more cells than its first line)")
    return {str(name).strip(): frame[name].to_numpy(object) for name in frame.columns}


def read_parquet(path: Path) -> Columns:
    """The columns of a Parquet file; a column of lists becomes NAME[0], NAME[1], ...

    Raises:
        UserError: pyarrow is not installed, the file is damaged, or its lists differ in length.
    """
    parquet = extra("pyarrow.parquet", "logs")
    with readable(str(path)):
        about = parquet.read_metadata(path)
        refuse_huge(path.name, about.num_rows * about.num_columns * 8)
        table = parquet.read_table(path)
        found = dict[str, ndarray]()
        for name in table.column_names:
            found |= _expanded(name, table.column(name).combine_chunks(), path)
    return found


def _expanded(name: str, column: Any, path: Path) -> dict[str, ndarray]:
    arrow = extra("pyarrow", "logs")
    if arrow.types.is_timestamp(column.type):
        return {
            name: column.cast(arrow.timestamp("ns")).to_numpy(zero_copy_only=False).astype(np.int64) / 1e9
        }
    lists = arrow.types.is_list(column.type) or arrow.types.is_large_list(column.type)
    if lists or arrow.types.is_fixed_size_list(column.type):
        rows = [np.asarray(row) for row in column.to_pylist()]
        if len({row.shape for row in rows}) > 1:
            raise UserError(f"{path}: the lists of {name} differ in length")
        wide = np.stack(rows).reshape(len(rows), -1) if rows else np.zeros((0, 0))
        return {f"{name}[{i}]": values for i, values in enumerate(wide.T)}
    return {name: column.to_numpy(zero_copy_only=False)}


def unused(names: list[str], mapping: ColumnMapping) -> list[str]:
    """Columns that the mapping does not ask for."""
    asked = {one.source for one in (*mapping.columns, *mapping.actions)}
    asked |= {name for name in (mapping.time, mapping.episode, mapping.reward) if name}
    times = [] if mapping.time or mapping.rate else [name for name in TIMES if name in names][:1]
    return [name for name in names if name not in asked and name not in times]


def _tables(files: list[Path], read: Callable[[Path], Columns], mapping: ColumnMapping) -> Iterator[LogTable]:
    number = 0
    for file in files:
        columns = read(file)
        for rows in _parts(columns, mapping, file):
            label = str(file) if mapping.episode is None else f"{file}: episode {number}"
            yield table_of(label, columns, mapping, rows, file.stem, number, file)
            number += 1


def _parts(columns: Columns, mapping: ColumnMapping, file: Path) -> list[ndarray]:
    """Rows of each episode, in the order in which they begin."""
    rows = np.arange(len(next(iter(columns.values()), ())))
    if mapping.episode is None:
        return [rows]
    which = column_of(columns, mapping.episode, mapping, file)
    names = dict.fromkeys(which.tolist())
    return [rows[which == name] for name in names]


def table_of(
    label: str, columns: Columns, mapping: ColumnMapping, rows: ndarray, behaviour: str, number: int, file: Path
) -> LogTable:  # fmt: skip
    """Some rows of a table as a log in the environment's columns.

    Raises:
        UserError: a column that is not there, or text for a number.
    """

    def side(parts: tuple[MappedColumn, ...]) -> Float[ndarray, "n C"]:
        return np.stack(
            [as_numbers(columns, one.source, mapping, file)[rows] * one.scale + one.offset for one in parts],
            axis=1,
        )

    rewards = as_numbers(columns, mapping.reward, mapping, file)[rows] if mapping.reward else None
    times = _times(columns, mapping, file)[rows]
    return LogTable(label, times, side(mapping.columns), side(mapping.actions), behaviour, number, rewards)


def _times(columns: Columns, mapping: ColumnMapping, file: Path) -> Float[ndarray, " n"]:
    if mapping.rate is not None:
        return np.arange(len(next(iter(columns.values())))) / mapping.rate
    name = mapping.time or next((name for name in TIMES if name in columns), None)
    if name is None:
        raise UserError(
            f"{file} has no column of times ({', '.join(TIMES)}); name it in the mapping as 'time: COLUMN', "
            "or give 'rate: ROWS_PER_SECOND'"
        )
    return as_numbers(columns, name, mapping, file) * mapping.time_scale


def column_of(columns: Columns, name: str, mapping: ColumnMapping, file: Path) -> ndarray:
    """The column of that name.

    Raises:
        UserError: there is none; names the nearest one, and the line of the mapping that asks for it.
    """
    if name not in columns:
        raise UserError(f"{mapping.where(name)}{file} has no column {name!r}{nearest(name, list(columns))}")
    return columns[name]


def as_numbers(columns: Columns, name: str, mapping: ColumnMapping, file: Path) -> Float[ndarray, " n"]:
    """A column as float64; an empty cell is not a number.

    Raises:
        UserError: there is no such column, or a cell holds text.
    """
    values = column_of(columns, name, mapping, file)
    if values.dtype.kind in "fiub":
        return values.astype(np.float64)
    found = pd.to_numeric(pd.Series(values, dtype=object), errors="coerce").to_numpy(np.float64)
    for row in np.flatnonzero(np.isnan(found)).tolist():
        if values[row] is not None and str(values[row]).strip().lower() not in EMPTY:
            raise UserError(f"{file}: row {row + 1}: {name} is {values[row]!r}, not a number")
    return found
