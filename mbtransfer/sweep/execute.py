"""Do one trial: its command in a process, watched and, if it does too badly, ended early."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mbtransfer.atomic import write_json
from mbtransfer.errors import UserError
from mbtransfer.sweep.guard import guarded
from mbtransfer.sweep.line import command_line
from mbtransfer.sweep.lock import inherited_lock
from mbtransfer.sweep.trial import Trial

LOOK_SECONDS = 0.5
"""Between two looks at how a trial does."""

OUTPUT = "output.txt"


@dataclass(frozen=True)
class Ended:
    """How a trial's command ended; what it means is for the sweep to say.

    Attributes:
        trial: as it was begun.
        code: exit code.
        stopped: it was ended early, as it did too badly.
        seconds: that it took.
        files: what it left, where that is not in the sweep's folder yet.
    """

    trial: Trial
    code: int
    stopped: bool
    seconds: float
    files: dict[str, bytes] = field(default_factory=dict)


def do_trial(
    content: Mapping[str, Any], trial: Trial, folder: Path, *,
    home: Path, environment: Mapping[str, str], stops: Callable[[Trial], bool],
) -> Ended:  # fmt: skip
    """Run the command of a trial to its end.

    Args:
        content: of the sweep file.
        trial: what to do.
        folder: for what the command leaves.
        home: folder in which it runs.
        environment: its variables.
        stops: whether to end it early, as it now does.

    Raises:
        UserError: there is no such command, or the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    line, began = command_line(content, trial.params, folder), time.monotonic()
    write_json(folder / "args.json", trial.params)
    with inherited_lock(folder / "lock") as lock, (folder / OUTPUT).open("wb") as output:
        try:
            process = subprocess.Popen(
                line, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=home,
                env=environment, start_new_session=True, pass_fds=(lock,),
            )  # fmt: skip
        except (OSError, ValueError) as error:  # ValueError: a null character
            raise UserError(f"cannot run {line[0]}: {getattr(error, 'strerror', error)}") from error
        with guarded(process):
            os.write(lock, str(process.pid).encode())
            stopped = _watch(process, lambda: stops(trial.heard(folder)))
    return Ended(trial, process.returncode, stopped, time.monotonic() - began)


def _watch(process: "subprocess.Popen[bytes]", stops: Callable[[], bool]) -> bool:
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(LOOK_SECONDS)
            return False
        if stops():
            return True
