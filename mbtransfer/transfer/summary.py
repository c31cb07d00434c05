"""Success, normalised score and costs of each transfer method, as numbers, a table and a picture.

The score of a target is (x - random) / (oracle - random) (Mnih et al. 2015, "Human-level control through deep
reinforcement learning", table 2), with x the success, or the return of a task without success; at 1 a method is as good
as planning in the true simulator. Intervals are of a stratified bootstrap as in `mbtransfer.evaluation.statistics`:
tasks are strata, and their seeds are drawn, or the episodes of a single seed. The ends of the score count as exact.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich import box
from rich.table import Table

from mbtransfer.evaluation.statistics import CONFIDENCE, RESAMPLES, Interval, mean, median, worst_task
from mbtransfer.runtime.files import replacing
from mbtransfer.transfer.registry import LOWER, UPPER
from mbtransfer.transfer.runs import TransferRun

Task = NDArray[np.float64]
"""Values of one task, [seeds, episodes]."""

INK, MUTED, GRID, DOT = "#1f2933", "#6b7785", "#e4e8ec", "#2f6f9f"


def summarise(runs: Sequence[TransferRun], seed: int = 0) -> list[dict[str, Any]]:
    """One entry per method: targets, success and score with intervals, costs, and what failed.

    Success is None without a task that can succeed, and the score is None where random and oracle are the same, or
    one of them is missing; such tasks do not count. Costs are means over targets and seeds.

    Args:
        runs: those of all methods.
        seed: seed of the bootstrap.
    """
    ends = {
        name: _by_target([run for run in runs if run.method == name]) for name in (LOWER.name, UPPER.name)
    }
    names = dict.fromkeys(run.method for run in runs)
    return [_summary([run for run in runs if run.method == name], ends, seed) for name in names]


def _summary(runs: list[TransferRun], ends: Mapping[str, Mapping[str, Task]], seed: int) -> dict[str, Any]:
    fine = [run for run in runs if not run.failed]
    low, high = ends[LOWER.name], ends[UPPER.name]
    success = list(_by_target([run for run in fine if not run.continuing]).values())
    score = [
        (values - low[name].mean()) / span
        for name, values in _by_target(fine).items()
        if name in low and name in high and (span := high[name].mean() - low[name].mean()) > 0
    ]
    costs = (
        {name: _mean([getattr(run.costs, name) for run in fine]) for name in vars(fine[0].costs)}
        if fine
        else {}
    )
    times = ("pretrain_seconds", "solve_seconds", "action_ms")
    return {
        "method": runs[0].method, "targets": len({run.target for run in fine}),
        **_aggregates("success", success, seed), **_aggregates("score", score, seed),
        **costs, **{name: _mean([getattr(run, name) for run in fine]) for name in times},
        "failed": [f"{run.target}, seed {run.seed}: {run.failed}" for run in runs if run.failed],
    }  # fmt: skip


def _by_target(runs: Sequence[TransferRun]) -> dict[str, Task]:
    targets = dict.fromkeys(run.target for run in runs if not run.failed)
    return {
        name: np.array([run.worth for run in runs if run.target == name and not run.failed])
        for name in targets
    }


def _mean(values: Sequence[int | float]) -> float | None:
    return float(np.mean(values)) if values else None


def _aggregates(name: str, tasks: list[Task], seed: int) -> dict[str, Any]:
    """Mean, its interval, median and minimum over tasks."""
    if not tasks:
        return {f"{name}_{what}": None for what in ("mean", "ci95", "median", "min")}
    runs = [task.mean(axis=1)[None] for task in tasks]
    found = {
        what: float(of(runs)[0]) for what, of in (("mean", mean), ("median", median), ("min", worst_task))
    }
    return {f"{name}_{what}": value for what, value in found.items()} | {
        f"{name}_ci95": _interval(tasks, seed)
    }


def _interval(tasks: list[Task], seed: int) -> Interval:
    """95% bootstrap interval of the mean over tasks."""
    generator, samples = np.random.default_rng(seed), list[NDArray[np.float64]]()
    for task in tasks:
        values = task.mean(axis=1) if len(task) > 1 else task[0]
        samples.append(values[generator.integers(len(values), size=(RESAMPLES, len(values)))])
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(mean(samples), [tail, 100 - tail])
    return float(low), float(high)


RESULTS = ("targets", "success", "95%", "score", "95%", "median", "min")
COSTS = ("pool", "steps", "labels", "pretrain s", "solve s", "ms/action", "parameters")


def cells(entry: Mapping[str, Any]) -> list[str]:
    """The cells of a method's row: its name, then those of `RESULTS` and of `COSTS`."""

    def text(name: str, form: str) -> str:
        return "–" if entry.get(name) is None else format(entry[name], form)

    def ends(name: str) -> str:
        return "–" if entry[name] is None else "–".join(f"{end:.2f}" for end in entry[name])

    return [
        str(entry["method"]), str(entry["targets"]), text("success_mean", ".2f"), ends("success_ci95"),
        text("score_mean", ".2f"), ends("score_ci95"), text("score_median", ".2f"), text("score_min", ".2f"),
        *(text(name, ",.0f") for name in ("pool", "steps", "labels")), text("pretrain_seconds", ",.0f"),
        text("solve_seconds", ",.1f"), text("action_ms", ",.2f"), text("parameters", ",.0f"),
    ]  # fmt: skip


def tables(summary: Sequence[Mapping[str, Any]]) -> list[Table]:
    """Results and costs for the terminal; a table each, so that they fit."""
    rows, cut = [cells(entry) for entry in summary], 1 + len(RESULTS)
    return [
        _table(RESULTS, [row[:cut] for row in rows]),
        _table(COSTS, [[row[0], *row[cut:]] for row in rows]),
    ]


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column("method")
    for heading in headings:
        shown.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        shown.add_row(*row)
    return shown


def markdown(summary: Sequence[Mapping[str, Any]]) -> str:
    """All of it as a table in Markdown."""
    headings = ("method", *RESULTS, *COSTS)
    rows = [headings, ("---", *["---:"] * (len(headings) - 1)), *(cells(entry) for entry in summary)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def plot(summary: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw success against milliseconds per action into a PNG file; methods without success are left out.

    Raises:
        UserError: the file cannot be written.
    """
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever the user's matplotlibrc says
        matplotlib.rcParams.update({"text.parse_math": False, "font.size": 9, "text.color": INK})
        figure = Figure(figsize=(6.0, 3.8), layout="constrained")
        axes = figure.subplots()
        for entry in summary:
            if entry["success_mean"] is None:
                continue
            x, y, (low, high) = entry["action_ms"], entry["success_mean"], entry["success_ci95"]
            axes.vlines(x, low, high, color=DOT, alpha=0.35, lw=5)
            axes.plot(x, y, "o", color=DOT)
            axes.annotate(entry["method"], (x, y), (7, -3), textcoords="offset points")
        axes.set(xscale="log", xlabel="milliseconds per action", ylabel="success", ylim=(-0.05, 1.05))
        axes.margins(x=0.2)
        axes.grid(axis="y", color=GRID)
        axes.spines[:].set_visible(False)
        axes.tick_params(colors=MUTED, which="both")
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png", dpi=140, facecolor="white")
