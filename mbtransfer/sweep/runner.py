"""Runner of one trial: its command in a watched process, stopped early where the search says so."""

import copy
import fcntl
import hashlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

from mbtransfer.config import cores
from mbtransfer.errors import UserError
from mbtransfer.runtime.files import write_json
from mbtransfer.sweep.search import best_metric, stops
from mbtransfer.sweep.trial import Trial, read_trials
from mbtransfer.tracking.tracker import HISTORY, SUMMARY, VARIABLE

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
    home: Path, environment: Mapping[str, str], hopeless: Callable[[Trial], bool],
) -> Ended:  # fmt: skip
    """Run the command of a trial to its end.

    Args:
        content: of the sweep file.
        trial: what to do.
        folder: for what the command leaves.
        home: folder in which it runs.
        environment: its variables.
        hopeless: whether to end it early, as it now does.

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
            stopped = _watch(process, lambda: hopeless(trial.heard(folder)))
    return Ended(trial, process.returncode, stopped, time.monotonic() - began)


def _watch(process: "subprocess.Popen[bytes]", hopeless: Callable[[], bool]) -> bool:
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(LOOK_SECONDS)
            return False
        if hopeless():
            return True


@dataclass(frozen=True)
class LocalTrialRunner:
    """Trials on this machine, in the sweep's folder.

    Attributes:
        content: of the sweep file.
        out: the sweep's folder, absolute.
        home: where the sweep was begun; commands run there.
        environment: of the sweep.
        workers: trials at a time; they share the cores.
    """

    content: dict[str, Any]
    out: Path
    home: Path
    environment: dict[str, str]
    workers: int

    def __call__(self, trial: Trial) -> Ended:
        """Do it."""
        folder = self.out / trial.name
        known = _variables(self.environment, folder, folder)
        if self.workers > 1:
            known.setdefault("OMP_NUM_THREADS", str(max(1, cores() // self.workers)))
        return do_trial(
            self.content, trial, folder, home=self.home, environment=known, hopeless=self._hopeless
        )  # fmt: skip

    def _hopeless(self, now: Trial) -> bool:
        """Whether it does too badly beside all others, those that are running too."""
        if "early_terminate" not in self.content:
            return False
        others = [trial for trial in read_trials(self.out) if trial.number != now.number]
        return stops(self.content, [*others, now])


@dataclass(frozen=True)
class RayTrialRunner:
    """Trials on the nodes of a cluster; what they leave travels back to the sweep.

    Attributes:
        content: of the sweep file.
        out: the sweep's folder, absolute; nodes need not see it.
        home: where the sweep was begun: a shared folder, in which commands run.
    """

    content: dict[str, Any]
    out: Path
    home: Path

    def __call__(self, trial: Trial) -> Ended:
        """Do it.

        Raises:
            UserError: the node does not see `home`.
        """
        if not self.home.is_dir():
            raise UserError(
                f"a node of the cluster has no folder {self.home}; begin the sweep on a shared disk"
            )
        folder = self.out / trial.name
        # The same for every try, so that on a node one waits for the end of another's command: see inherited_lock.
        scratch = Path(tempfile.gettempdir()) / f"mbtransfer-{os.getuid()}-{run_id(folder)}"
        ended = do_trial(
            self.content, trial, scratch, home=self.home,
            environment=_variables(os.environ, folder, scratch), hopeless=lambda now: False,
        )  # fmt: skip
        left = {name: scratch / name for name in (OUTPUT, HISTORY, SUMMARY)}
        files = {name: path.read_bytes() for name, path in left.items() if path.is_file()}
        shutil.rmtree(scratch, ignore_errors=True)
        return replace(ended, files=files)


def run_id(folder: Path) -> str:
    """A trial's id for W&B and for paths of its own: the same wherever and however often it is done."""
    return hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]


def _variables(known: Mapping[str, str], folder: Path, told: Path) -> dict[str, str]:
    """As W&B's agent sets them, and the folder for what is told; `python` is the one that runs the sweep."""
    path = os.pathsep.join([str(Path(sys.executable).parent), known.get("PATH", os.defpath)])
    own = {VARIABLE: str(told.resolve()), "WANDB_RUN_ID": run_id(folder), "PATH": path}
    return {"WANDB_MODE": "disabled"} | dict(known) | own


def judged(content: Mapping[str, Any], ended: Ended, folder: Path) -> Trial:
    """The trial with its end.

    Args:
        content: of the sweep file.
        ended: how its command ended.
        folder: with what it left.
    """
    trial, name = ended.trial.heard(folder), content["metric"]["name"]
    trial = replace(trial, metric=best_metric(content, trial), seconds=trial.seconds + ended.seconds)
    if ended.stopped:
        return replace(trial, state="stopped")
    if ended.code:
        return replace(trial, state="failed", note=_last_line(folder / OUTPUT) or f"exit code {ended.code}")
    if trial.metric is None:
        return replace(trial, state="failed", note=f"its command told no number called {name}")
    return replace(trial, state="finished")


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")


def command_line(content: Mapping[str, Any], params: Mapping[str, Any], folder: Path) -> list[str]:
    """The words of the command: macros by W&B's own functions, put together as its agent does.

    Args:
        content: of the sweep file.
        params: of the trial.
        folder: of the trial, for `${args_json_file}`.
    """
    words = create_sweep_command(copy.copy(content.get("command")))
    macros = create_sweep_command_args({"args": {name: {"value": value} for name, value in params.items()}})
    macros |= {"interpreter": ["python"], "program": [content.get("program")]}
    macros["args_json_file"] = [str(folder / "args.json")]
    if platform.system() != "Windows":
        macros["env"] = ["/usr/bin/env"]
    line: list[str] = []
    for word in map(str, words):
        macro = word.startswith("${") and word.endswith("}")
        line += (macros.get(word[2:-1]) or []) if macro else [word]
    return [str(word) for word in line]


GRACE = 10.0
"""Seconds that a command is given to end by itself."""

_SCRIPT = f"""
read -r line
kill -s TERM -- "-$0"
left={GRACE:.0f}
while [ $left -gt 0 ] && kill -s 0 -- "-$0"; do sleep 1; left=$((left - 1)); done
kill -s KILL -- "-$0"
"""


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
                group = int(path.read_text(encoding="utf-8") or "0")
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
