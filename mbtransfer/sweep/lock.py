"""Locks that the system takes back from whoever is killed (POSIX)."""

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mbtransfer.errors import UserError

GRACE = 10.0
"""Seconds that a command is given to end by itself."""


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Keep other sweeps out of a folder.

    Raises:
        UserError: one is at work there, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "lock").open("a")
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(f"another sweep is at work in {folder}; give another --out, or wait") from None
        yield


@contextmanager
def alone(path: Path) -> Iterator[int]:
    """A lock for a trial's command to inherit: as long as it is held, the command of a killed sweep is alive.

    Such a command is ended first, so that no trial is done by two at once.

    Yields:
        The lock, to be passed on; the command's process group is to be written to `path`.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        began = time.monotonic()
        while not _taken(descriptor):
            with suppress(ValueError, ProcessLookupError, PermissionError):
                group = int(path.read_text() or "0")
                late = time.monotonic() - began > GRACE
                if group > 1:
                    os.killpg(group, signal.SIGKILL if late else signal.SIGTERM)
            time.sleep(0.2)
        os.truncate(descriptor, 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
