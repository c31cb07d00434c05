"""From the flags of a command, and the environment variables that W&B's users know, to its tracker."""

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mbtransfer.config import TrackerFlags
from mbtransfer.errors import USER_ERRORS, UserError
from mbtransfer.tracking.identity import Identity
from mbtransfer.tracking.remote import Remote
from mbtransfer.tracking.tracker import SILENT, Several, Tracker
from mbtransfer.tracking.trial import VARIABLE, TrialTracker
from mbtransfer.versions import versions

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
    except KeyboardInterrupt:
        code = 130
        raise
    except USER_ERRORS:
        code = 2
        raise
    finally:
        tracker.finish(code)
        if code == 0 and tracker is not SILENT:
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
        found.append(Remote(lambda: _begin(command, config, beside, mode), _say))
    if VARIABLE in os.environ:
        found.append(TrialTracker(Path(os.environ[VARIABLE])))
    return Several(found) if found else SILENT


def _begin(command: str, config: TrackerFlags, beside: Path | None, mode: str) -> Mapping[str, Any]:
    """What the tracker's process is told first."""
    known = os.environ
    settings = {k: _plain(v) for k, v in asdict(config).items() if not k.startswith("tracker")}
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


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _say(line: str) -> None:
    print(f"note: {line}", file=sys.stderr)
