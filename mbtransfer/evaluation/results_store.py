"""Results store: rows together with the settings that made them, so that runs can continue and are never mixed.

The settings of `rows.csv` are stored next to it in `rows.settings.json`, as the rows themselves cannot hold them.
"""

import hashlib
import json
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from mbtransfer.errors import UserError
from mbtransfer.evaluation.config import EvalConfig, EvalContext
from mbtransfer.evaluation.parallel import Run, what
from mbtransfer.evaluation.results import RUN, read_rows
from mbtransfer.runtime.environment import versions
from mbtransfer.runtime.files import read_sealed, write_sealed
from world_models.dynamics.kernels import processor
from world_models.dynamics.precision import Precision

VERSION = 2
UNSEALED = 1
"""The version without checksums of settings and rows; it can still be read."""

PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
"""The precisions in which rows can be made."""


def continued(config: EvalConfig, rows: Path | None) -> EvalConfig:
    """The settings to continue a rows file with: `precision="auto"` becomes the precision of its rows.

    Rows that were begun on one machine can thus be continued on another. Without rows, or with rows of both precisions,
    this machine decides.

    Raises:
        UserError: the settings file of the rows cannot be read.
    """
    if config.precision == "auto" and rows is not None:
        known = read_settings(settings_path(rows))["settings"].values()
        noted = [
            precision for precision in PRECISIONS if any(one.get("precision") == precision for one in known)
        ]
        if len(noted) == 1:
            config = replace(config, precision=noted[0])
    return config


def settings_path(rows: Path) -> Path:
    """Path of the settings file of a rows file."""
    return rows.with_suffix(".settings.json")


class UnfinishedRowsWarning(UserWarning):
    """Some runs of a rows file lack episodes."""


def read_results(path: Path) -> pd.DataFrame:
    """Read the rows of a file like `read_rows`, and warn about runs that were begun but lack episodes.

    Raises:
        UserError: the rows or their settings cannot be read.
    """
    known = read_settings(settings_path(path))
    rows = read_rows(path, checked=known["version"] == VERSION and bool(known["runs"]))
    there = Counter(key_of_row(row) for _, row in rows.iterrows())
    episodes = {digest: one.get("episodes", 0) for digest, one in known["settings"].items()}
    lacking = [run for run, digest in known["runs"].items() if there[run] < episodes.get(digest, 0)]
    if lacking:
        more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        text = (
            f"{path} lacks episodes of {'; '.join(lacking[:3])}{more}; run the command again to finish them"
        )
        warnings.warn(text, UnfinishedRowsWarning, stacklevel=2)
    return rows


class ResultsStore:
    """The rows file of one command.

    Args:
        path: the rows file; it need not exist.
        context: how episodes are run.

    Raises:
        UserError: the file or its settings cannot be read.
    """

    def __init__(self, path: Path, context: EvalContext) -> None:
        self.path, self.settings_path = path, settings_path(path)
        self._settings, self._context = context.described(), context
        self._known = read_settings(self.settings_path)

    def missing(self, runs: Sequence[Run]) -> list[Run]:
        """The runs that are not in the file yet.

        Raises:
            UserError: a run is in the file, but was made with other settings.
        """
        there = self._episodes()
        for run in runs:
            if self._key(run) in there:
                self._check(run)
        return [run for run in runs if there.get(self._key(run), set()) < set(range(run.episodes))]

    def begin(self, runs: Sequence[Run]) -> None:
        """Record the settings of runs before their first row is written.

        Raises:
            UserError: a file cannot be written.
        """
        if not runs:
            return
        known = dict(self._known["settings"])
        made = dict(self._known["runs"])
        for run in runs:
            settings = self.settings_of(run)
            known[_digest(settings)] = settings
            made[self._key(run)] = _digest(settings)
        here = {"versions": versions(), "processor": processor()}
        machines = [one for one in self._known.get("made_on", []) if one != here]
        self._known = {"version": VERSION, "settings": known, "runs": made, "made_on": [*machines, here]}
        write_sealed(self.settings_path, self._known)

    def rows(self, runs: Sequence[Run]) -> pd.DataFrame:
        """The rows of these runs, in the order of the runs."""
        wanted = {self._key(run): place for place, run in enumerate(runs)}
        frame = read_rows(self.path)
        place = frame.apply(key_of_row, axis=1).map(wanted) if len(frame) else frame.index
        frame = frame.assign(place=place).dropna(subset="place")
        return frame.sort_values(["place", "episode"]).drop(columns="place").reset_index(drop=True)

    def _episodes(self) -> dict[str, set[int]]:
        if not self.path.exists():
            return {}
        there: dict[str, set[int]] = {}
        for _, row in read_rows(self.path).iterrows():
            there.setdefault(key_of_row(row), set()).add(int(row["episode"]))
        return there

    def _check(self, run: Run) -> None:
        settings = self.settings_of(run)
        digest = self._known["runs"].get(self._key(run))
        if digest == _digest(settings):
            return
        old = self._known["settings"].get(digest, {})
        changed = [f"{k} was {old[k]}, now is {v}" for k, v in settings.items() if k in old and old[k] != v]
        what = "; ".join(changed) or f"{self.settings_path.name} does not say which"
        raise UserError(
            f"{self.path} holds rows of {run.name}, seed {run.seed}, made with other settings ({what}); "
            "choose another --rows file"
        )

    def settings_of(self, run: Run) -> dict[str, Any]:
        """Everything that the rows of a run depend on."""
        task_file = self._context.config.task_file
        own = isinstance(run.asked, str) and run.name in {task.name for task in self._context.own_tasks}
        if own and task_file is not None:
            definition = _file_digest(task_file)
        else:
            definition = hashlib.sha256(repr(what(self._context, run)).encode()).hexdigest()[:16]
        return self._settings | {"episodes": run.episodes, "definition": definition}

    def _key(self, run: Run) -> str:
        config, labels = self._context.config, self._context.controller.labels_of(run.asked)
        return _join(run.kind, run.name, run.seed, config.planner, config.dynamics, config.reward, labels)


def key_of_row(row: "pd.Series[Any]") -> str:
    """The key of a row's run in `runs` of the settings file."""
    return _join(*(row[column] for column in RUN))


def _join(*parts: object) -> str:
    return " ".join(map(str, parts))


def _digest(settings: Mapping[str, Any]) -> str:
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_settings(path: Path) -> dict[str, Any]:
    """Read what `ResultsStore.begin` wrote; empty settings if there is no file."""
    known = read_sealed(
        path, "choose another --rows file", lambda content: content.get("version") == UNSEALED
    )
    if known is None:
        return {"version": VERSION, "settings": {}, "runs": {}}
    if known.get("version") not in (UNSEALED, VERSION):
        raise UserError(f"{path} is from another version; choose another --rows file")
    settings, runs = known.get("settings"), known.get("runs")
    whole = isinstance(settings, dict) and all(isinstance(one, dict) for one in settings.values())
    if not whole or not isinstance(runs, dict):
        raise UserError(f"{path} is damaged; choose another --rows file")
    return known


def _file_digest(path: str | Path) -> str:
    """Digest of a file's content, 16 characters long."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]
