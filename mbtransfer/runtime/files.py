"""Atomic writes, sealed JSON state and output locks; see `world_models.checkpoint.atomic`."""

import hashlib
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from mbtransfer.errors import UserError
from world_models.checkpoint import atomic


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give an empty temporary file beside `path`; what was written there becomes `path` on a clean exit.

    Raises:
        UserError: the folder is unwritable, the disk is full, or `path` is a folder.
    """
    try:
        with atomic.replacing(path) as temporary:
            yield temporary
    except OSError as error:
        raise UserError(cannot_write(Path(path), error)) from error


@contextmanager
def appearing(final: Path, root: Path) -> Iterator[Path]:
    """Give an empty temporary folder in `root`, which becomes `final` on a clean exit and else is removed.

    Raises:
        UserError: `root` is unwritable, the disk is full, or `final` is there.
    """
    try:
        with atomic.appearing(final, root) as folder:
            yield folder
    except OSError as error:
        raise UserError(cannot_write(final, error)) from error


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
    write_bytes(path, _utf8(text))


def write_json(path: str | os.PathLike[str], value: Any, indent: int | None = 2) -> None:
    """Write `value` to `path` as strict JSON: NumPy becomes plain, NaN and infinity become null.

    Raises:
        UserError: as `replacing`.
        TypeError: `value` holds something that has no place in JSON.
    """
    write_text(path, json.dumps(plain(value), indent=indent, allow_nan=False, ensure_ascii=False) + "\n")


def cannot_write(path: Path, error: OSError) -> str:
    """One line for the user: what could not be written, why, and that nothing else changed."""
    reason = error.strerror or str(error) or type(error).__name__
    return f"cannot write {path}: {reason}; what was there before is unharmed"


def _utf8(text: str) -> bytes:
    """UTF-8 of a text with names of files in it, which Python decodes by the locale.

    Bytes that it left as they were mostly are UTF-8; if not, they are written as JSON escapes them.
    """
    data = text.encode("utf-8", "surrogateescape")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return text.encode("utf-8", "backslashreplace")
    return data


def plain(value: Any) -> Any:
    """The value as JSON can hold it: NumPy becomes lists and numbers, NaN and infinity None, paths text."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


if sys.platform != "win32":  # there two commands must be kept apart by hand
    import fcntl


@contextmanager
def output_lock(path: Path, *, folder: bool = True) -> Iterator[None]:
    """Hold the lock on an output while the body runs; the system lets go of it when a process ends, however it does.

    Args:
        path: of the output; a folder, or with `folder=False` a file, is made where there is none. If it is new and
            still empty in the end, it is removed.
        folder: which of both it is.

    Raises:
        UserError: another process holds it, or it cannot be made.
    """
    new = not path.exists()
    try:
        (path if folder else path.parent).mkdir(parents=True, exist_ok=True)
        held = os.open(path, os.O_RDONLY if folder else os.O_RDONLY | os.O_CREAT, 0o644)
    except OSError as error:
        raise UserError(cannot_write(path, error)) from error
    try:
        _lock(held, path)
        try:
            yield
        finally:
            if new:
                _remove_if_empty(path)
    finally:
        os.close(held)


def _remove_if_empty(path: Path) -> None:
    """Nothing came of it, so nothing is left of it."""
    with suppress(OSError):
        if path.is_dir():
            path.rmdir()  # not where there is anything in it
        elif not path.stat().st_size:
            path.unlink()


def _lock(held: int, path: Path) -> None:
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UserError(
            f"another command is writing to {path}; wait until it has ended, or name another output"
        ) from error
    except OSError:
        return  # a file system without locks, as some shared disks are


SEAL = "sha256"

MOST_BYTES = 64 * 2**20
"""No state is larger."""


def write_sealed(path: Path, content: Mapping[str, Any]) -> None:
    """Write a mapping and its checksum, whole or not at all; NumPy becomes plain, NaN and infinity become null.

    Raises:
        UserError: the folder is unwritable, or the disk is full.
        TypeError: the content holds something that has no place in JSON.
    """
    kept = json.loads(json.dumps(plain(content)))
    write_json(path, kept | {SEAL: _seal(kept)})


def read_sealed(
    path: Path, remedy: str, unsealed: Callable[[Mapping[str, Any]], bool] = lambda content: False
) -> dict[str, Any] | None:
    """What `write_sealed` wrote; None where there is no such file.

    Args:
        path: of the file.
        remedy: what to do if it is damaged, for the message.
        unsealed: whether content without a checksum is of a version that had none.

    Raises:
        UserError: it cannot be read, or is not what was written.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    if len(data) > MOST_BYTES:
        raise UserError(f"{path} is damaged: more than {MOST_BYTES >> 20} MB; {remedy}")
    try:
        content = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged: it is not JSON; {remedy}") from error
    whole = isinstance(content, dict) and (
        content.pop(SEAL) == _seal(content) if SEAL in content else unsealed(content)
    )
    if not whole:
        raise UserError(f"{path} is damaged or was edited: its checksum does not match its content; {remedy}")
    found: dict[str, Any] = content
    return found


def _seal(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def check_writable(*paths: Path | None) -> None:
    """See to it that results can be written before hours are spent on them.

    Raises:
        UserError: a path is a folder, or its folder cannot be made or written.
    """
    for path in paths:
        if path is None:
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}") from error
        if path.is_dir():
            raise UserError(f"cannot write {path}: it is a folder; name a file")
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise UserError(f"cannot write {path}: permission denied")
