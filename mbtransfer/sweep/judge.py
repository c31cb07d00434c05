"""What the end of a trial's command means: finished, stopped or failed."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mbtransfer.sweep import engine
from mbtransfer.sweep.execute import OUTPUT, Ended
from mbtransfer.sweep.trial import Trial


def judged(content: Mapping[str, Any], ended: Ended, folder: Path) -> Trial:
    """The trial with its end.

    Args:
        content: of the sweep file.
        ended: how its command ended.
        folder: with what it left.
    """
    trial, name = ended.trial.heard(folder), content["metric"]["name"]
    trial = replace(trial, metric=engine.best(content, trial), seconds=trial.seconds + ended.seconds)
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
