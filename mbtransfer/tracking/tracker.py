"""The tracker interface, and trackers that combine, prefix or discard."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from mbtransfer.runtime.files import write_json

Kind = Literal["dataset", "model", "evaluation"]


@dataclass(frozen=True)
class Artifact:
    """Files that a command reads or writes: what lineage is made of.

    Attributes:
        kind: what it is.
        path: folder or file.
        digest: changes with the content, so that data, models and what was measured of them find each other.
    """

    kind: Kind
    path: str
    digest: str

    @classmethod
    def of(cls, kind: Kind, path: Path, index: Path) -> "Artifact":
        """The artifact at `path`, known by the digest of a file that changes with all of it."""
        return cls(kind, str(path), hashlib.sha256(index.read_bytes()).hexdigest())


class Tracker:
    """Keeps what a command tells it; this one keeps nothing.

    No call waits for a disk or a network, and none raises. Others override `tell`, through which all goes.
    """

    def tell(self, verb: str, **what: Any) -> None:
        """Take one message: a method's name below, and its arguments as plain values."""

    def log(self, values: Mapping[str, float | int], axis: str, at: int) -> None:
        """Points of curves, over `axis` (`epoch`, `environment_steps`, `episodes`) at the place `at`."""
        self.tell("log", values=dict(values), axis=axis, at=at)

    def table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """A table of plain values; it replaces an earlier one of that name."""
        self.tell("table", name=name, rows=[dict(row) for row in rows])

    def summary(self, found: Mapping[str, Any]) -> None:
        """What came of it: the same that `--json` writes."""
        self.tell("summary", found=dict(found))

    def uses(self, artifact: Artifact) -> None:
        """The command reads this."""
        self.tell("artifact", **asdict(artifact), made=False)

    def makes(self, artifact: Artifact) -> None:
        """The command has written this."""
        self.tell("artifact", **asdict(artifact), made=True)

    def film(self, name: str, path: str) -> None:
        """A film (MP4)."""
        self.tell("film", name=name, path=path)

    def finish(self, exit_code: int) -> None:
        """The command ends; nothing follows."""
        self.tell("finish", exit_code=exit_code)


NULL_TRACKER = Tracker()
"""The tracker of whoever asks for none."""


class CompositeTracker(Tracker):
    """Tells each of several trackers."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self._trackers = tuple(trackers)

    def tell(self, verb: str, **what: Any) -> None:
        """See `Tracker.tell`."""
        for tracker in self._trackers:
            tracker.tell(verb, **what)


class PrefixedTracker(Tracker):
    """One part of a long job: its curves, tables and figures are `NAME/...`, and its end is not the job's."""

    def __init__(self, whole: Tracker, name: str) -> None:
        self._whole, self._name = whole, name

    def tell(self, verb: str, **what: Any) -> None:
        """See `Tracker.tell`."""
        prefix = f"{self._name}/"
        if verb == "log":
            what["values"] = {prefix + name: value for name, value in what["values"].items()}
            what["axis"] = prefix + what["axis"]
        elif verb == "summary":
            what["found"] = {self._name: what["found"]}
        elif "name" in what:
            what["name"] = prefix + what["name"]
        if verb != "finish":
            self._whole.tell(verb, **what)


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


def figures(found: Any, prefix: str = "") -> dict[str, float]:
    """Every finite number in nested mappings; members of a list by their `name`, if they have one.

    True and False count as 1 and 0.
    """
    return dict(_walk(found, prefix))


def _walk(value: Any, path: str) -> Iterator[tuple[str, float]]:
    if hasattr(value, "item") and not getattr(value, "ndim", 0):  # a NumPy scalar is a plain number
        value = value.item()
    if isinstance(value, bool | int | float):
        if math.isfinite(value):
            yield path, float(value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _walk(item, f"{path}/{key}" if path else str(key))
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for item in value:
            if isinstance(item, Mapping) and "name" in item:
                yield from _walk(item, f"{path}/{item['name']}")
