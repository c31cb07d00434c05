"""Returns of tasks that only go on: there is nothing to succeed in."""

from dataclasses import dataclass
from typing import Any

from mbtransfer import statistics
from mbtransfer.report.material import ROWS, Material, MissingPart
from mbtransfer.report.success import SPLITS, Rate


@dataclass(frozen=True)
class ReturnLine:
    """One task; `place` is where mean and interval lie between the ends of the scale, from 0 to 1."""

    name: str
    split: str
    mean: float
    low: float
    high: float
    place: Rate
    episodes: int


@dataclass(frozen=True)
class Returns:
    """All endless tasks of a folder, and the ends of the scale that they share."""

    tasks: list[ReturnLine]
    mean: float
    ends: tuple[float, float]
    seeds: int


def returns(material: Material) -> Returns:
    """Mean return and interval of each endless task, by the learned model or else by the oracle.

    Raises:
        MissingPart: there are no rows, or none of such a task.
    """
    if ROWS in material.absent:
        raise MissingPart(material.absent[ROWS])
    learned, oracle = material.headline("learned"), material.headline("oracle")
    rows = oracle if learned.empty else learned
    rows = rows[rows["steps_total"] == 0]
    if rows.empty:
        raise MissingPart("No task here goes on without an end.")
    found = statistics.summarise_tasks(rows)
    ends = _ends([edge for task in found for edge in task["return_ci95"]])
    lines = [_line(task, ends) for task in found if task["split"] in SPLITS]
    mean = sum(line.mean for line in lines) / len(lines)
    order = list(SPLITS)
    lines.sort(key=lambda line: (order.index(line.split), line.mean))
    return Returns(lines, mean, ends, rows["seed"].nunique())


def _ends(values: list[float]) -> tuple[float, float]:
    """A scale that holds zero and all values."""
    low, high = min(0.0, *values), max(0.0, *values)
    return (low, high) if high > low else (0.0, 1.0)


def _line(task: dict[str, Any], ends: tuple[float, float]) -> ReturnLine:
    mean, (low, high) = task["return_mean"], task["return_ci95"]
    places = [(value - ends[0]) / (ends[1] - ends[0]) for value in (mean, low, high)]
    return ReturnLine(task["name"], task["split"], mean, low, high, Rate(*places), task["episodes"])
