"""What a rows file already holds, and with which settings it was made: so a rerun continues, and never mixes.

The settings lie beside the rows, `rows.csv` in `rows.settings.json`; the rows themselves cannot hold them.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mbtransfer.atomic import write_json
from mbtransfer.errors import UserError
from mbtransfer.evaluation.runs import Run, what
from mbtransfer.evaluation.setup import Setup
from mbtransfer.rows import read_rows

VERSION = 1


class Ledger:
    """The rows file of one command.

    Args:
        path: the rows file; it need not exist.
        setup: how episodes are run.

    Raises:
        UserError: the file, or the settings beside it, cannot be read.
    """

    def __init__(self, path: Path, setup: Setup) -> None:
        self.path, self.beside = path, path.with_suffix(".settings.json")
        self._settings, self._setup = setup.described(), setup
        self._known = _read_settings(self.beside)

    def missing(self, runs: Sequence[Run]) -> list[Run]:
        """The runs that are not in the file yet.

        Raises:
            UserError: a run is there, but was made with other settings.
        """
        there = self._episodes()
        for run in runs:
            if self._key(run) in there:
                self._check(run)
        return [run for run in runs if there.get(self._key(run), set()) < set(range(run.episodes))]

    def begin(self, runs: Sequence[Run]) -> None:
        """Note the settings of runs before their first row is written.

        Raises:
            UserError: a file cannot be written.
        """
        if not runs:
            return
        known = dict(self._known["settings"])
        made = dict(self._known["runs"])
        for run in runs:
            settings = self._of(run)
            known[_digest(settings)] = settings
            made[self._key(run)] = _digest(settings)
        self._known = {"version": VERSION, "settings": known, "runs": made}
        write_json(self.beside, self._known)

    def rows(self, runs: Sequence[Run]) -> pd.DataFrame:
        """The rows of these runs, in their order."""
        wanted = {self._key(run): place for place, run in enumerate(runs)}
        frame = read_rows(self.path)
        place = frame.apply(_key_of_row, axis=1).map(wanted) if len(frame) else frame.index
        frame = frame.assign(place=place).dropna(subset="place")
        frame = frame.drop_duplicates(["place", "episode"], keep="last")
        return frame.sort_values(["place", "episode"]).drop(columns="place").reset_index(drop=True)

    def _episodes(self) -> dict[str, set[int]]:
        if not self.path.exists():
            return {}
        there: dict[str, set[int]] = {}
        for _, row in read_rows(self.path).iterrows():
            there.setdefault(_key_of_row(row), set()).add(int(row["episode"]))
        return there

    def _check(self, run: Run) -> None:
        settings = self._of(run)
        digest = self._known["runs"].get(self._key(run))
        if digest == _digest(settings):
            return
        old = self._known["settings"].get(digest, {})
        changed = [f"{k} was {old[k]}, now is {v}" for k, v in settings.items() if k in old and old[k] != v]
        what = "; ".join(changed) or f"{self.beside.name} does not say which"
        raise UserError(
            f"{self.path} holds rows of {run.name}, seed {run.seed}, made with other settings ({what}); "
            "choose another --rows file"
        )

    def _of(self, run: Run) -> dict[str, Any]:
        """All that the rows of a run depend on."""
        own = run.kind == "task" and run.name in {task.name for task in self._setup.own_tasks()}
        if own and self._setup.task_file is not None:
            definition = _file_digest(self._setup.task_file)
        else:
            definition = hashlib.sha256(repr(what(self._setup, run)).encode()).hexdigest()[:16]
        return self._settings | {"episodes": run.episodes, "definition": definition}

    def _key(self, run: Run) -> str:
        setup = self._setup
        labels = setup.pilot().labels
        return _join(run.kind, run.name, run.seed, setup.planner, setup.dynamics, setup.reward, labels)


def _key_of_row(row: "pd.Series[Any]") -> str:
    columns = ("kind", "task", "seed", "planner", "dynamics", "reward", "labels")
    return _join(*(row[column] for column in columns))


def _join(*parts: object) -> str:
    return " ".join(map(str, parts))


def _digest(settings: Mapping[str, Any]) -> str:
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read_settings(path: Path) -> dict[str, Any]:
    """What `Ledger.begin` wrote, or nothing."""
    empty: dict[str, Any] = {"version": VERSION, "settings": {}, "runs": {}}
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return empty
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path} ({error}); it belongs to the rows file beside it") from error
    if not isinstance(known, dict) or known.get("version") != VERSION:
        raise UserError(f"{path} is of another version; choose another --rows file")
    if not all(isinstance(known.get(part), dict) for part in ("settings", "runs")):
        raise UserError(f"{path} is damaged; choose another --rows file")
    return known


def _file_digest(path: str | Path) -> str:
    """What a file holds, in 16 characters."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]
