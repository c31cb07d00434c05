"""A trial's command ends with the process that watches it, however that one ends (POSIX)."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

GRACE = 10.0
"""Seconds that a command is given to end by itself."""

_SCRIPT = f'read -r line; kill -s TERM -- "-$0"; sleep {GRACE:.0f}; kill -s KILL -- "-$0"'


@contextmanager
def guarded(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Whatever of a command is left when the body ends is ended; also when this process is killed in the body.

    Args:
        process: of the command, at the head of a group of its own.
    """
    guard = subprocess.Popen(
        ["/bin/sh", "-c", _SCRIPT, str(process.pid)],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    with guard:  # it reads until we are gone
        try:
            yield
        finally:
            _end(process)
            guard.kill()


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End it, gently at first."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
