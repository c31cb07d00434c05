"""Do one trial: its command in a process, watched and, if it does too badly, ended early."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from mbtransfer.atomic import write_json
from mbtransfer.errors import UserError
from mbtransfer.sweep import engine
from mbtransfer.sweep.line import command_line
from mbtransfer.sweep.lock import GRACE, inherited_lock
from mbtransfer.sweep.trial import Trial
from mbtransfer.tracking.trial import VARIABLE

LOOK_SECONDS = 0.5
"""Between two looks at how a trial does."""

OUTPUT = "output.txt"


def do_trial(content: Mapping[str, Any], trial: Trial, folder: Path, stops: Callable[[Trial], bool]) -> Trial:
    """Run the command of a trial to its end.

    Args:
        content: of the sweep file.
        trial: what to do.
        folder: of the trial.
        stops: whether to end it early, as it now does.

    Returns:
        The trial with its end: finished, stopped or failed.

    Raises:
        UserError: there is no such command, or the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    line, began = command_line(content, trial.params, folder), time.monotonic()
    write_json(folder / "args.json", trial.params)
    with inherited_lock(folder / "lock") as lock, (folder / OUTPUT).open("wb") as output:
        try:
            process = subprocess.Popen(
                line, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env=_environment(folder), start_new_session=True, pass_fds=(lock,),
            )  # fmt: skip
        except (OSError, ValueError) as error:  # ValueError: a null character
            raise UserError(f"cannot run {line[0]}: {getattr(error, 'strerror', error)}") from error
        try:
            os.write(lock, str(process.pid).encode())
            stopped = _watch(process, lambda: stops(trial.heard(folder)))
        finally:
            _end(process)
    known = trial.heard(folder)
    return _judged(content, known, process.returncode, stopped, time.monotonic() - began, folder)


def _judged(
    content: Mapping[str, Any], trial: Trial, code: int, stopped: bool, seconds: float, folder: Path
) -> Trial:
    metric, name = engine.best(content, trial), content["metric"]["name"]
    ended = replace(trial, metric=metric, seconds=trial.seconds + seconds)
    if stopped:
        return replace(ended, state="stopped")
    if code:
        return replace(ended, state="failed", note=_last_line(folder / OUTPUT) or f"exit code {code}")
    if metric is None:
        return replace(ended, state="failed", note=f"its command told no number called {name}")
    return replace(ended, state="finished")


def _watch(process: "subprocess.Popen[bytes]", stops: Callable[[], bool]) -> bool:
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(LOOK_SECONDS)
            return False
        if stops():
            return True


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End whatever of the command is left, gently at first."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)


def _environment(folder: Path) -> dict[str, str]:
    """As W&B's agent gives it, and the trial's folder; `python` is the one that runs the sweep."""
    run = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    own = {VARIABLE: str(folder.resolve()), "WANDB_RUN_ID": run, "PATH": path}
    return {"WANDB_MODE": "disabled"} | os.environ | own


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")
