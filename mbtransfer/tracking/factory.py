"""Creation of a command's tracker from flags and environment variables."""

import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mbtransfer.config import TrackerFlags
from mbtransfer.errors import USER_ERRORS, UserError
from mbtransfer.runtime.environment import versions
from mbtransfer.runtime.files import write_json
from mbtransfer.runtime.signals import exit_code
from mbtransfer.runtime.streams import say
from mbtransfer.tracking.subprocess_tracker import SubprocessTracker
from mbtransfer.tracking.tracker import NULL_TRACKER, VARIABLE, CompositeTracker, Tracker, TrialTracker

NO_SETTING = ("seed", "seeds", "out", "json", "rows", "workers", "threads", "device")
"""What runs of one group may differ in."""


@contextmanager
def track(command: str, config: TrackerFlags, beside: Path | None) -> Iterator[Tracker]:
    """The tracker of a command while it works; how the command ends is what the tracker is told.

    Args:
        command: its name.
        config: all of its settings.
        beside: folder or file that it writes; there the run's id is kept. None: it writes none.

    Raises:
        UserError: the tracker is not installed.
    """
    tracker, identity = _open(command, config, beside), Identity(beside, command)
    code = 1
    try:
        yield tracker
        code = 0
    except KeyboardInterrupt as stop:
        code = exit_code(stop)
        raise
    except USER_ERRORS:
        code = 2
        raise
    finally:
        tracker.finish(code)
        if code == 0 and tracker is not NULL_TRACKER:
            identity.release()


def check_tracker(name: str) -> None:
    """See to it that a tracker can be used, before hours are spent.

    Raises:
        UserError: it is not installed.
    """
    if name == "tensorboard" and find_spec("tensorboard") is None:
        raise UserError("--tracker tensorboard needs an extra: pip install 'mbtransfer[tensorboard]'")


def _open(command: str, config: TrackerFlags, beside: Path | None) -> Tracker:
    found: list[Tracker] = []
    mode = config.tracker_mode or os.environ.get("WANDB_MODE") or "online"
    check_tracker(config.tracker)
    if config.tracker != "none" and mode != "disabled":
        found.append(SubprocessTracker(lambda: _begin(command, config, beside, mode), _say))
    if VARIABLE in os.environ:
        found.append(TrialTracker(Path(os.environ[VARIABLE])))
    return CompositeTracker(found) if found else NULL_TRACKER


def _begin(command: str, config: TrackerFlags, beside: Path | None, mode: str) -> Mapping[str, Any]:
    """What the tracker's process is told first."""
    known = os.environ
    settings = {k: _flag_value(v) for k, v in asdict(config).items() if not k.startswith("tracker")}
    name = config.tracker_name or known.get("WANDB_NAME") or _name(command, settings, beside)
    return {
        "tracker": config.tracker, "mode": mode, "command": command, "pid": os.getpid(), "name": name,
        "project": config.tracker_project or known.get("WANDB_PROJECT") or "mbtransfer",
        "group": config.tracker_group or known.get("WANDB_RUN_GROUP") or _group(command, settings),
        "id": known.get("WANDB_RUN_ID") or Identity(beside, command).claim(),
        "folder": str(_folder(beside, name)),
        "config": {"command": command, **settings, "versions": versions()},
    }  # fmt: skip


def _name(command: str, settings: Mapping[str, Any], beside: Path | None) -> str:
    parts = [command, *([beside.stem] if beside else [])]
    return "-".join([*parts, *([f"seed{settings['seed']}"] if "seed" in settings else [])])


def _group(command: str, settings: Mapping[str, Any]) -> str:
    """The same for the same settings under any seed."""
    same = {name: value for name, value in settings.items() if name not in NO_SETTING}
    return f"{command}-{hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()[:6]}"


def _folder(beside: Path | None, name: str) -> Path:
    """Where TensorBoard's files go: into the output folder, or beside the output file."""
    if beside is None:
        return Path("runs") / "tensorboard" / name
    return beside.parent / f"{beside.stem}.tensorboard" if beside.suffix else beside / "tensorboard"


def _flag_value(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_flag_value(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _say(line: str) -> None:
    say(f"note: {line}", error=True)


FILE = "tracking.json"


class Identity:
    """The run's id, kept beside what the command writes until the command has ended well.

    Args:
        beside: folder or file that the command writes; None: nothing is kept, and each run is new.
        command: several commands may write to one folder.
    """

    def __init__(self, beside: Path | None, command: str) -> None:
        self._command = command
        self._file = None if beside is None else _file(beside)

    def claim(self) -> str:
        """The id of the run that did not end, or a new one, which is kept."""
        kept = self._read()
        known = kept.get(self._command)
        if isinstance(known, dict) and known.get("ended") is False and isinstance(known.get("id"), str):
            return str(known["id"])
        new = {"id": secrets.token_hex(4), "ended": False}
        self._write(kept | {self._command: new})
        return str(new["id"])

    def release(self) -> None:
        """The command has ended well: the next one is another run."""
        kept = self._read()
        known = kept.get(self._command)
        if isinstance(known, dict):
            self._write(kept | {self._command: known | {"ended": True}})

    def _read(self) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            kept = json.loads(self._file.read_text(encoding="utf-8")) if self._file else {}
            return kept if isinstance(kept, dict) else {}
        return {}

    def _write(self, kept: dict[str, Any]) -> None:
        if self._file is not None:
            with suppress(UserError):
                write_json(self._file, kept)


def _file(beside: Path) -> Path:
    """`DIR/tracking.json`; of a file `rows.csv` it is `rows.tracking.json`."""
    return beside.with_suffix(f".{FILE}") if beside.suffix else beside / FILE
