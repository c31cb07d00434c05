"""Reading files that others wrote: whatever is wrong with them ends in one line, and nothing fills the memory."""

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy import ndarray

from mbtransfer.errors import UserError

ROOM = 0.5
"""Share of the machine's memory that one read may fill."""


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Turn whatever a reader raises about a damaged file into one line.

    Raises:
        UserError: `name` cannot be read, and why.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # a file can be wrong in more ways than its reader has words for
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"cannot read {name}: {reason}") from error


def extra(module: str) -> Any:
    """Import what comes with the extra `minari`.

    Raises:
        UserError: it is not installed, and how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        lacking = error.name or module
        raise UserError(f"{lacking} is not installed: pip install 'mbtransfer[minari]'") from error


def refuse_huge(name: str, size: int) -> None:
    """Refuse to read what memory cannot hold: a small file can claim to unfold into anything.

    Raises:
        UserError: `size` bytes are too many.
    """
    room = ROOM * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if size > room:
        raise UserError(f"{name} unfolds into {size / 1e9:,.0f} GB, too much for this machine's memory")


def numbers(name: str, values: Any) -> ndarray:
    """An array of real numbers.

    Raises:
        UserError: it holds text, objects or complex numbers.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise UserError(f"{name} holds {array.dtype} values; numbers are needed")
    return array


def hdf5_numbers(group: Any, path: str, name: str) -> ndarray:
    """Read a dataset of numbers that lies in the file itself.

    Raises:
        UserError: there is none, it is a group, or it points to another file.
    """
    node = hdf5_member(group, path, name)
    if not hasattr(node, "dtype"):
        raise UserError(f"{name} is a group; an array is needed")
    if node.external or node.is_virtual:
        raise UserError(f"{name} lies in another file; copy the data into this one")
    refuse_huge(name, node.nbytes)
    return numbers(name, node[()] if node.dtype.kind in "fiub" else np.empty(0, object))


def hdf5_member(group: Any, path: str, name: str) -> Any:
    """What lies at `path` in an HDF5 group, in the file itself.

    Raises:
        UserError: there is nothing, or a link.
    """
    h5py = extra("h5py")
    if path not in group:
        raise UserError(f"{name} is missing")
    if not isinstance(group.get(path, getlink=True), h5py.HardLink):
        raise UserError(f"{name} is a link; copy the data into this file")
    return group[path]
