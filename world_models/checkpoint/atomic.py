"""Atomic files, and listings without temporary ones.

Everything goes to a temporary file in the same folder, is flushed to the disk, and takes the final name in one
step (`os.replace`). A kill at any instant leaves the old file or the new one, and at worst a temporary file: it is
never listed (`listed`), and the next writer in its folder removes it (`remove_leftovers`). A writer holds a lock on
what it is writing, so that nobody removes it while it is alive.
"""

import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

POSIX = os.name == "posix"
"""Whether files can be locked and folders flushed."""

if POSIX:
    import fcntl

PREFIX = ".tmp-"
"""How the name of every temporary file and folder begins."""

STALE_SECONDS = 3600.0
"""Where files cannot be locked, a temporary file untouched for this long belongs to a writer that was killed."""


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give an empty temporary file beside `path`; what was written there becomes `path` on a clean exit.

    For tools that write by name (videos, plots): the temporary name keeps the suffix. Missing parent folders are
    made. When the body raises, `path` stays as it was and the temporary file is removed.

    Raises:
        OSError: the folder is unwritable, the disk is full, or `path` is a folder.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(final.parent)
    temporary = final.with_name(f"{PREFIX}{secrets.token_hex(6)}-{final.name}")
    try:
        with _held(temporary, folder=False):
            yield temporary
            _flush(temporary)
            os.replace(temporary, final)
            flush_folder(final.parent)
    finally:
        with suppress(OSError):  # the first error is the one to tell
            temporary.unlink(missing_ok=True)


@contextmanager
def appearing(final: Path, root: Path) -> Iterator[Path]:
    """Give an empty temporary folder in `root`, which becomes `final` on a clean exit and else is removed.

    Raises:
        OSError: `root` is unwritable, the disk is full, or `final` exists and is not empty.
    """
    root.mkdir(parents=True, exist_ok=True)
    remove_leftovers(root)
    folder = root / f"{PREFIX}{secrets.token_hex(6)}"
    try:
        with _held(folder, folder=True):
            yield folder
            for path in folder.rglob("*"):
                flush_folder(path) if path.is_dir() else _flush(path)
            os.replace(folder, final)
            flush_folder(final.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def listed(folder: str | os.PathLike[str], pattern: str) -> list[Path]:
    """Paths below `folder` that match a glob pattern, sorted, without what is still being written."""
    home = Path(folder)
    found = (path for path in home.glob(pattern) if not _is_temporary(path.relative_to(home)))
    return sorted(found)


def remove_leftovers(folder: str | os.PathLike[str]) -> None:
    """Remove what killed writers left in `folder`."""
    leftovers: list[Path] = []
    with suppress(OSError), os.scandir(folder) as entries:
        leftovers = [Path(entry.path) for entry in entries if entry.name.startswith(PREFIX)]
    for leftover in leftovers:
        with suppress(OSError):  # another process was faster, or it is not ours to remove
            _remove_abandoned(leftover)


def flush_folder(folder: Path) -> None:
    """Make the names in a folder last.

    Raises:
        OSError: it cannot be read, or the disk fails.
    """
    if POSIX:  # elsewhere a folder cannot be opened, and need not be
        _flush(folder)


def _is_temporary(path: Path) -> bool:
    return any(part.startswith(PREFIX) for part in path.parts)


@contextmanager
def _held(path: Path, folder: bool) -> Iterator[None]:
    """Make the temporary `path`, and hold a lock on it until the end or until this process is gone."""
    descriptor = _claim(path, folder)
    while descriptor is None:  # swept between its making and the lock
        descriptor = _claim(path, folder)
    try:
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _claim(path: Path, folder: bool) -> int | None:
    """Make `path` and lock it: its descriptor, -1 where there are no locks, None where somebody was faster."""
    path.mkdir(exist_ok=True) if folder else path.touch()
    if not POSIX:
        return -1
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    if _lock(descriptor) is not False and _is(descriptor, path):
        return descriptor
    os.close(descriptor)
    return None


def _remove_abandoned(path: Path) -> None:
    """Remove what nobody alive is writing; the lock is held until it is gone."""
    old = time.time() - path.stat().st_mtime > STALE_SECONDS
    descriptor = os.open(path, os.O_RDONLY) if POSIX else None
    try:
        free = None if descriptor is None else _lock(descriptor)
        if old if free is None else free:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _lock(descriptor: int) -> bool | None:
    """Whether the lock was got; None where the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if POSIX else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
