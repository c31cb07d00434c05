"""Tables of the report: success and returns by split and by task."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mbtransfer.evaluation import statistics
from mbtransfer.report.results_dir import ROWS, SUMMARY, Material, MissingPart

SPLITS = {
    "source": ("Source tasks", "rewarded while the data was collected"),
    "held_out": ("Held-out tasks", "targets and fixtures never rewarded while collecting"),
    "recipes": ("Recipes", "several steps in a row, never trained for"),
    "user": ("Your own tasks", "given with --task-file"),
}
CONDITION = ["planner", "dynamics", "reward", "labels"]


@dataclass(frozen=True)
class SuccessRate:
    """A share of episodes with its 95% interval, all in [0, 1]; `low == high` if the interval is unknown."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class SplitLine:
    """One line of the table of splits."""

    split: str
    title: str
    meaning: str
    learned: SuccessRate | None
    oracle: SuccessRate | None
    iqm: float | None
    worst: float | None
    worst_task: str
    tasks: int
    episodes: int


@dataclass(frozen=True)
class TaskLine:
    """One line of the table of tasks; `done` is the share of recipe steps finished, None for a task."""

    name: str
    split: str
    learned: SuccessRate | None
    oracle: SuccessRate | None
    episodes: int
    steps: float | None
    done: float | None


@dataclass(frozen=True)
class Condition:
    """One way of running a split, for the table of all ways in the rows."""

    planner: str
    dynamics: str
    reward: str
    labels: int
    split: str
    rate: SuccessRate
    worst: float
    episodes: int


@dataclass(frozen=True)
class Results:
    """All success figures of a folder."""

    splits: list[SplitLine]
    tasks: list[TaskLine]
    seeds: int | None

    def of(self, split: str) -> SplitLine | None:
        """The line of `split`, or None."""
        return next((line for line in self.splits if line.split == split), None)


def results(material: Material) -> Results:
    """Success from `rows.csv`, or from `summary.json` if there are no rows.

    Raises:
        MissingPart: neither holds any.
    """
    if ROWS not in material.absent:
        every = material.headline("learned"), material.headline("oracle")
        learned, oracle = (rows[rows["steps_total"] > 0] for rows in every)
        if learned.empty and oracle.empty and not all(rows.empty for rows in every):
            raise MissingPart(
                "These tasks go on until time is up: there is nothing to succeed in, see Returns."
            )
        both = {name: statistics.summarise_splits(of) for name, of in _named(learned, oracle)}
        tasks = {name: statistics.summarise_tasks(of) for name, of in _named(learned, oracle)}
        return _combine(both, tasks, len(set(learned["seed"]) | set(oracle["seed"])))
    if SUMMARY in material.absent:
        raise MissingPart(f"{material.absent[ROWS]} {material.absent[SUMMARY]}")
    summary = material.summary
    both = {"learned": _table(summary.get("splits")), "oracle": _table(summary.get("oracle"))}
    listed = summary["tasks"] if isinstance(summary.get("tasks"), list) else []
    return _combine(both, {"learned": [task for task in listed if isinstance(task, dict)]}, None)


def conditions(material: Material) -> list[Condition]:
    """Every combination of planner, dynamics, reward and number of labels in the rows; empty if there is only one."""
    if material.rows is None or ROWS in material.absent:
        return []
    groups = list(material.rows.groupby([*CONDITION, "split"], sort=True))
    lines = [_condition(key, rows) for key, rows in groups]
    return lines if len({key[:4] for key, _ in groups}) > 1 else []


def best(line: SplitLine | TaskLine | None) -> SuccessRate | None:
    """The learned model's rate, or the oracle's if there is no other."""
    return (line.learned or line.oracle) if line else None


def _named(learned: pd.DataFrame, oracle: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [("learned", learned), ("oracle", oracle)]


def _combine(splits: dict[str, Any], tasks: dict[str, Any], seeds: int | None) -> Results:
    lines = list(_task_lines(tasks.get("learned", []), tasks.get("oracle", [])))
    present = [name for name in SPLITS if name in splits["learned"] or name in splits["oracle"]]
    if not present and not lines:
        raise MissingPart("No episode has been evaluated yet.")
    return Results([_split_line(name, splits, lines) for name in present], lines, seeds)


def _split_line(split: str, both: dict[str, Any], tasks: list[TaskLine]) -> SplitLine:
    entry = _table(both["learned"].get(split)) or _table(both["oracle"].get(split))
    inside = [task for task in tasks if task.split == split]
    return SplitLine(
        split,
        *SPLITS[split],
        learned=_rate(_table(both["learned"].get(split)), "success_mean"),
        oracle=_rate(_table(both["oracle"].get(split)), "success_mean"),
        iqm=_number(entry, "success_iqm"),
        worst=_number(entry, "success_min"),
        worst_task=inside[0].name if inside else "",
        tasks=len(inside),
        episodes=sum(task.episodes for task in inside),
    )


def _task_lines(learned: list[dict[str, Any]], oracle: list[dict[str, Any]]) -> Iterable[TaskLine]:
    """Lines for all tasks, in the order of the splits and worst first within each."""
    beside = {(str(task.get("split")), str(task.get("name"))): task for task in oracle}
    main = {(str(task.get("split")), str(task.get("name"))): task for task in learned}
    order = list(SPLITS)
    lines = [_task_line(key, main.get(key, {}), beside.get(key, {})) for key in {**main, **beside}]
    lines = [line for line in lines if line.split in order and (line.learned or line.oracle)]

    def place(line: TaskLine) -> tuple[int, float, str]:
        rate = best(line)
        return order.index(line.split), rate.mean if rate else 0.0, line.name

    return sorted(lines, key=place)


def _task_line(key: tuple[str, str], learned: dict[str, Any], oracle: dict[str, Any]) -> TaskLine:
    entry = learned or oracle
    split, name = key
    return TaskLine(
        name,
        split,
        learned=_rate(learned, "success_rate"),
        oracle=_rate(oracle, "success_rate"),
        episodes=int(_number(entry, "episodes") or 0),
        steps=_number(entry, "steps_to_success_mean"),
        done=_number(entry, "steps_done_share") if split == "recipes" else None,
    )


def _condition(key: Any, rows: pd.DataFrame) -> Condition:
    planner, dynamics, reward, labels, split = key
    entry = statistics.summarise_splits(rows)[split]
    rate = SuccessRate(entry["success_mean"], *entry["success_ci95"])
    return Condition(planner, dynamics, reward, int(labels), split, rate, entry["success_min"], len(rows))


def _rate(entry: dict[str, Any], name: str) -> SuccessRate | None:
    mean = _number(entry, name)
    if mean is None:
        return None
    ends = entry.get("success_ci95")
    if isinstance(ends, list) and len(ends) == 2 and all(isinstance(end, int | float) for end in ends):
        return SuccessRate(mean, *(min(1.0, max(0.0, float(end))) for end in ends))
    episodes = int(_number(entry, "episodes") or 0)
    if name == "success_rate" and episodes > 0:
        return SuccessRate(mean, *statistics.wilson_interval(round(mean * episodes), episodes))
    return SuccessRate(mean, mean, mean)


def _number(entry: dict[str, Any], name: str) -> float | None:
    value = entry.get(name)
    known = isinstance(value, int | float) and value == value
    return float(value) if known else None  # type: ignore[arg-type]


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


@dataclass(frozen=True)
class ReturnLine:
    """One endless task; `place` gives the mean and its interval on the scale, from 0 to 1."""

    name: str
    split: str
    mean: float
    low: float
    high: float
    place: SuccessRate
    episodes: int


@dataclass(frozen=True)
class Returns:
    """All endless tasks of a folder, and the ends of their common scale."""

    tasks: list[ReturnLine]
    mean: float
    ends: tuple[float, float]
    seeds: int


def returns(material: Material) -> Returns:
    """Mean return and interval of each endless task, by the learned model or otherwise by the oracle.

    Raises:
        MissingPart: there are no rows, or no endless tasks.
    """
    if ROWS in material.absent:
        raise MissingPart(material.absent[ROWS])
    learned, oracle = material.headline("learned"), material.headline("oracle")
    rows = oracle if learned.empty else learned
    rows = rows[rows["steps_total"] == 0]
    if rows.empty:
        raise MissingPart("There are no endless tasks here.")
    found = statistics.summarise_tasks(rows)
    ends = _ends([edge for task in found for edge in task["return_ci95"]])
    lines = [_line(task, ends) for task in found if task["split"] in SPLITS]
    mean = sum(line.mean for line in lines) / len(lines)
    order = list(SPLITS)
    lines.sort(key=lambda line: (order.index(line.split), line.mean))
    return Returns(lines, mean, ends, rows["seed"].nunique())


def _ends(values: list[float]) -> tuple[float, float]:
    """Ends of a scale that contains zero and all values."""
    low, high = min(0.0, *values), max(0.0, *values)
    return (low, high) if high > low else (0.0, 1.0)


def _line(task: dict[str, Any], ends: tuple[float, float]) -> ReturnLine:
    mean, (low, high) = task["return_mean"], task["return_ci95"]
    places = [(value - ends[0]) / (ends[1] - ends[0]) for value in (mean, low, high)]
    return ReturnLine(task["name"], task["split"], mean, low, high, SuccessRate(*places), task["episodes"])
