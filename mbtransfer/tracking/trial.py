"""The tracker of a trial: a sweep reads from its folder how the trial does and what came of it."""

import json
from pathlib import Path
from typing import Any

from mbtransfer.atomic import write_json
from mbtransfer.tracking.tracker import Tracker

VARIABLE = "MBTRANSFER_TRIAL"
"""Environment variable that names the folder of the trial that a command is."""

HISTORY, SUMMARY = "history.jsonl", "summary.json"


class TrialTracker(Tracker):
    """Writes curves to `history.jsonl`, a line per point, and what came of it to `summary.json`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def tell(self, verb: str, **what: Any) -> None:
        """See `Tracker.tell`."""
        if verb == "log":
            with (self._folder / HISTORY).open("a", encoding="utf-8") as file:
                file.write(json.dumps({what["axis"]: what["at"], **what["values"]}) + "\n")
        elif verb == "summary":
            write_json(self._folder / SUMMARY, what["found"])
