"""Table of results in the terminal."""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table

from mbtransfer.evaluation.statistics import decision_notes, divergence_note
from mbtransfer.runtime.terminal import Terminal, styled

SPLITS = {
    "source": "source tasks",
    "held_out": "held-out tasks",
    "recipes": "recipes",
    "user": "your own tasks",
}
DASH = "–"
NARROW = 70
"""Width of the terminal in characters below which cells may wrap."""
ROOMY = 90
"""Width of the terminal in characters from which on the worst task is named too."""


def print_table(summary: Mapping[str, Any], console: Terminal) -> None:
    """Print success by split: mean, 95% interval, worst task, number of episodes, and the oracle if known.

    Args:
        summary: as returned by `mbtransfer.evaluation.statistics.summarise`, or the content of `summary.json`.
        console: where to print.
    """
    tasks = [task for task in summary.get("tasks") or [] if isinstance(task, dict)]
    continuing = [task for task in tasks if task.get("endless")]
    splits = _table(summary.get("splits"))
    oracle = _table(summary.get("oracle"))
    names = [name for name in SPLITS if name in splits or name in oracle]
    if not names:
        console.print("No episode was evaluated.")
        return
    if continuing:
        console.print(_returns(continuing))
        tasks = [task for task in tasks if task not in continuing]
        names = [name for name in names if any(task.get("split") == name for task in tasks)]
    columns = ["success", "95% interval", "worst", "episodes", *(["oracle"] if oracle else [])]
    roomy = bool(tasks) and console.width >= ROOMY
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ["", *columns]:
        table.add_column(heading, justify="right" if heading else "left", no_wrap=console.width >= NARROW)
    if roomy:
        table.add_column("worst task")
    for name in names:
        entry, inside = _table(splits.get(name)), [task for task in tasks if task.get("split") == name]
        cells = [_share(entry.get("success_mean")), _interval(entry.get("success_ci95"))]
        cells += [_share(entry.get("success_min")), _episodes(entry, inside)]
        cells += [_share(_table(oracle.get(name)).get("success_mean"))] if oracle else []
        cells += [_worst(inside)] if roomy else []
        table.add_row(styled((SPLITS[name], "bold")), *cells)
    if names:
        console.print(table)
    diverged = divergence_note(summary.get("diverged") or 0)
    for line in (*decision_notes(_table(summary.get("decisions"))), *diverged):
        console.print(line)


def _returns(tasks: list[dict[str, Any]]) -> Table:
    """Table of endless tasks, which have a return but no success."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("", "return", "95% interval", "episodes", "split"):
        table.add_column(heading, justify="right" if heading not in ("", "split") else "left", no_wrap=True)
    for task in tasks:
        low, high = task.get("return_ci95") or (float("nan"), float("nan"))
        cells = (f"{task['return_mean']:.1f}", f"{low:.1f} – {high:.1f}", f"{task['episodes']:,}")
        table.add_row(
            styled((str(task["name"]), "bold")),
            *cells,
            str(task["split"]).replace("_", "-"),
        )
    if len(tasks) > 1:
        table.add_section()
        table.add_row(
            styled(("mean", "bold")), f"{sum(task['return_mean'] for task in tasks) / len(tasks):.1f}"
        )
    return table


def _worst(tasks: list[dict[str, Any]]) -> str:
    """Name of the task with the lowest success; empty if all always succeed."""
    failing = [
        task for task in tasks if isinstance(rate := task.get("success_rate"), int | float) and rate < 1
    ]
    return str(min(failing, key=lambda task: float(task["success_rate"])).get("name")) if failing else ""


def _episodes(entry: Mapping[str, Any], tasks: list[dict[str, Any]]) -> str:
    count = entry.get("episodes") or sum(int(task.get("episodes") or 0) for task in tasks)
    return f"{count:,}" if count else DASH


def _interval(ends: Any) -> str:
    if not isinstance(ends, list | tuple) or len(ends) != 2:
        return DASH
    return f"{_share(ends[0])[:-1]}–{_share(ends[1])}"


def _share(value: Any) -> str:
    """A share with one decimal, or a dash if it is unknown."""
    return f"{100 * value:.1f}%" if isinstance(value, int | float) and value == value else DASH


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
