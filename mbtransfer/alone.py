"""One writer at a time: a second command on the same output is refused before it can do harm."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mbtransfer.atomic import cannot_write
from mbtransfer.errors import UserError

if sys.platform != "win32":  # there two commands must be kept apart by hand
    import fcntl


@contextmanager
def alone(path: Path, *, folder: bool = True) -> Iterator[None]:
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
