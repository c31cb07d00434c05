"""A lock that a trial's command inherits; the system takes it back from whoever is killed (POSIX)."""

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mbtransfer.sweep.guard import GRACE


@contextmanager
def inherited_lock(path: Path) -> Iterator[int]:
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
