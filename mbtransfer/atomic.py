"""Write files so that a reader, a crash or a full disk never sees half of one.

Everything goes to a temporary file in the same directory, is flushed to the disk, and takes the
final name in one step (`os.replace`). A kill at any instant leaves the old file or the new one,
and at worst a temporary file that `sweep` removes later.
"""

import json
import math
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from mbtransfer.errors import UserError

PREFIX = ".tmp-"
"""How the name of every temporary file begins."""

STALE_SECONDS = 3600.0
"""A temporary file untouched for this long belongs to a writer that was killed."""


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`; what was written there becomes `path` on a clean exit.

    For tools that write by name (videos, plots): the temporary name keeps the suffix. Missing parent
    folders are made. When the body raises, `path` stays as it was and the temporary file is removed.

    Raises:
        UserError: the folder is unwritable, the disk is full, or `path` is a folder.
    """
    final = Path(path)
    temporary = final.with_name(f"{PREFIX}{secrets.token_hex(6)}-{final.name}")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _flush(temporary)
        os.replace(temporary, final)
        if os.name == "posix":  # elsewhere a folder cannot be opened, and need not be
            _flush(final.parent)
    except OSError as error:
        raise UserError(cannot_write(final, error)) from error
    finally:
        _forget(temporary)


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to `path`, whole or not at all.

    Raises:
        UserError: as `replacing`.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` to `path` in UTF-8, whole or not at all.

    Raises:
        UserError: as `replacing`.
    """
    write_bytes(path, text.encode("utf-8"))


def write_json(path: str | os.PathLike[str], value: Any, indent: int | None = 2) -> None:
    """Write `value` to `path` as strict JSON: NumPy becomes plain, NaN and infinity become null.

    Raises:
        UserError: as `replacing`.
        TypeError: `value` holds something that has no place in JSON.
    """
    write_text(path, json.dumps(_plain(value), indent=indent, allow_nan=False, ensure_ascii=False) + "\n")


def sweep(folder: str | os.PathLike[str], older_than: float = STALE_SECONDS) -> None:
    """Remove what killed writers left in `folder`: temporary files untouched for `older_than` seconds."""
    oldest = time.time() - older_than
    for leftover in Path(folder).glob(f"{PREFIX}*"):
        try:
            if leftover.stat().st_mtime < oldest:
                leftover.unlink()
        except OSError:
            continue  # another process was faster, or it is not ours to remove


def cannot_write(path: Path, error: OSError) -> str:
    """One line for the user: what could not be written, why, and that nothing else changed."""
    reason = error.strerror or str(error) or type(error).__name__
    return f"cannot write {path}: {reason}; what was there before is unharmed"


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _forget(temporary: Path) -> None:
    with suppress(OSError):  # the first error is the one to tell
        temporary.unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value
