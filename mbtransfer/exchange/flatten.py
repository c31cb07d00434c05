"""Observations in parts become one row of columns."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from mbtransfer.errors import UserError
from mbtransfer.exchange.reading import numbers
from tasks.spec import nearest

GOAL = "desired_goal"
"""A dict observation with this part is a goal environment's: the goal is the task, and the dynamics never see it."""


def flatten(observed: Any, keys: Sequence[str], name: str) -> tuple[tuple[str, ...], ndarray]:
    """Columns side by side, [rows, O] float32, and their names.

    An array gives `obs_0`, `obs_1`, ... Of a dict the parts in `keys` are taken, in that order; without keys all but
    pictures, or of a goal environment `observation` alone.

    Args:
        observed: an array [rows, ...], or parts by name, nested to any depth.
        keys: names of parts; `a` means all parts below `a`, `a/b` one of them.
        name: what messages call it.

    Raises:
        UserError: no such part, pictures, lengths that differ, or nothing to keep.
    """
    parts = dict(_leaves(observed, name))
    chosen = _chosen(parts, observed, keys, name)
    plain = set(chosen) <= {"", "observation"}
    columns, arrays = list[str](), list[ndarray]()
    for part in chosen:
        array = parts[part]
        flat = array.reshape(len(array), -1) if array.size else array.reshape(len(array), 0)
        label = "obs" if plain else part.replace("/", "_")
        columns += [f"{label}_{i}" for i in range(flat.shape[1])]
        arrays.append(flat)
    if len({len(array) for array in arrays}) > 1:
        raise UserError(f"{name}: the parts of an observation differ in length")
    if not columns:
        raise UserError(f"{name} has no observation columns")
    return tuple(columns), to_float32(np.concatenate(arrays, axis=1))


def to_float32(values: ndarray) -> ndarray:
    """The nearest float32 numbers; what is too large becomes infinite, which a dataset refuses."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values, np.float32)


def _leaves(observed: Any, name: str, path: str = "") -> Iterator[tuple[str, ndarray]]:
    if isinstance(observed, Mapping):
        for key, part in observed.items():
            yield from _leaves(part, name, f"{path}/{key}" if path else str(key))
        return
    array = numbers(f"{name}: {path or 'observations'}", observed)
    if array.ndim == 0:
        raise UserError(f"{name}: {path or 'observations'} is a single number; one row per step is needed")
    yield path, array[:, None] if array.ndim == 1 else array


def _chosen(parts: Mapping[str, ndarray], observed: Any, keys: Sequence[str], name: str) -> list[str]:
    if not isinstance(observed, Mapping):
        if keys:
            raise UserError(f"{name}: observations have no parts; leave out --keys")
        keys = ("",)
    elif not keys and GOAL in observed and "observation" in observed:
        keys = ("observation",)
    elif not keys:
        return [part for part, array in parts.items() if not _picture(array)]
    chosen = list[str]()
    for key in keys:
        found = [part for part in parts if part == key or part.startswith(f"{key}/")]
        if not found:
            raise UserError(f"{name}: observations have no part {key!r}{nearest(key, list(parts))}")
        chosen += [part for part in found if part not in chosen]
    for part in chosen:
        if _picture(parts[part]):
            raise UserError(f"{name}: {part or 'observations'} are pictures; only numbers can be imported")
    return chosen


def _picture(array: ndarray) -> bool:
    return array.dtype == np.uint8 and array.ndim >= 3
