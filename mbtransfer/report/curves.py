"""Charts of the report: learning curves, calibration, rewards and timing."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray
from scipy import stats

from mbtransfer.evaluation import statistics
from mbtransfer.evaluation.statistics import decision_notes, divergence_note, summarise_decisions
from mbtransfer.report import charts
from mbtransfer.report.charts import Figure
from mbtransfer.report.results_dir import (
    DIAGNOSTICS,
    FIT,
    LARGEST,
    ROWS,
    SUMMARY,
    Material,
    MissingPart,
    columns,
)
from mbtransfer.runtime.streams import single_line


def loss_curve(material: Material) -> Figure:
    """Training and held-out loss by epoch."""
    fit = _fit(material, ["train_loss", "valid_loss"])
    with charts.axes() as on:
        on.plot(fit["train_loss"], color=charts.ORACLE, linestyle="--", label="training")
        on.plot(fit["valid_loss"], color=charts.LEARNED, label="held-out episodes")
        if (fit[["train_loss", "valid_loss"]] > 0).all(axis=None):
            on.set_yscale("log")
            charts.plain_logarithms(on.yaxis)
        on.set(xlabel="epoch", ylabel="loss")
        charts.whole_numbers(on)
        charts.legend_above(on)
        svg = charts.drawn(on, "Loss of the dynamics by epoch, in training and on held-out episodes")
    caption = (
        "Lower is better. The solid line is measured on whole episodes kept out of training; "
        "where it rises while the dashed line falls, the model begins to overfit."
    )
    return Figure("Loss of the dynamics", caption + _rounds(fit), svg)


def rollout_curve(material: Material) -> Figure:
    """Multi-step prediction error by epoch."""
    fit = _fit(material, ["rollout_error"])
    with charts.axes() as on:
        on.plot(fit["rollout_error"], color=charts.LEARNED, label="held-out episodes")
        on.set(xlabel="epoch", ylabel="error (normalised)")
        on.set_ylim(bottom=0)
        charts.whole_numbers(on)
        charts.legend_above(on)
        svg = charts.drawn(on, "Multi-step prediction error by epoch")
    caption = (
        "The model predicts many steps in a row, each from its own last prediction, as in planning. "
        "This error matters more for planning than the one-step loss."
    )
    return Figure("Error of multi-step predictions", caption + _rounds(fit), svg)


def labels_curve(material: Material) -> Figure:
    """Success on held-out tasks by number of labels behind each reward head."""
    curve = _labels_from_rows(material)
    source = "with 95% bootstrap intervals"
    if curve is None:
        labels, success = columns(material.part(SUMMARY, "labels"), ["labels", "success"], "labels")
        curve = pd.DataFrame({"labels": labels, "success": success}).sort_values("labels")
        source = "means over tasks"
    if (curve["labels"] <= 0).any():
        raise MissingPart("labels holds a count that is not positive.")
    with charts.axes() as on:
        if "low" in curve:
            on.vlines(curve["labels"], curve["low"], curve["high"], color=charts.LEARNED, alpha=0.45, lw=6)
        on.plot(curve["labels"], curve["success"], "o-", color=charts.LEARNED)
        on.set_xscale("log")
        on.xaxis.set_major_locator(FixedLocator(list(curve["labels"])))
        on.xaxis.set_minor_locator(NullLocator())
        on.xaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
        on.set_xlim(curve["labels"].min() / 1.6, curve["labels"].max() * 1.6)
        on.set(xlabel="labelled transitions per reward head", ylabel="success")
        charts.percent_axis(on)
        svg = charts.drawn(on, "Success by number of labels per reward head")
    caption = (
        "How many labelled steps a new task needs before its learned reward guides the planner well; "
        f"{source}. The dynamics stay the same throughout."
    )
    return Figure("Success by labels per head", caption, svg)


def adaptation_curve(material: Material) -> Figure:
    """Success on the new task and on the old ones by episodes of fine-tuning."""
    adapt = material.part(SUMMARY, "adapt")
    episodes, new, old = columns(adapt, ["episodes", "new", "old"], "adapt")
    with charts.axes() as on:
        on.plot(episodes, old, "s--", color=charts.ORACLE, label="old tasks")
        on.plot(episodes, new, "o-", color=charts.WARM, label="new task")
        on.set_xticks(list(episodes))
        on.set_xticklabels([f"{count:g}" for count in episodes])
        on.set(xlabel="episodes in the new task", ylabel="success")
        charts.percent_axis(on)
        charts.legend_above(on)
        svg = charts.drawn(on, "Success on the new task and on old tasks by episodes of adaptation")
    caption = (
        "Fine-tuning on a few episodes of a task that the shared data does not cover. Its line should rise "
        f"quickly, and the dashed one should stay level: {_forgotten(old)}."
    )
    return Figure("Adapting to a new task", caption, svg)


def _fit(material: Material, names: list[str]) -> pd.DataFrame:
    material.need(FIT)
    assert material.fit is not None
    missing = [name for name in names if name not in material.fit]
    if missing:
        raise MissingPart(f"{FIT} has no column {missing[0]}.")
    fit = material.fit.apply(pd.to_numeric, errors="coerce")
    fit = fit[(fit[names].abs() <= LARGEST).all(axis=1)].reset_index(drop=True)
    if fit.empty:
        raise MissingPart(f"{FIT} holds no finite {names[0]}.")
    fit.index += 1  # number the epochs consecutively over several rounds of fitting
    return fit


def _rounds(fit: pd.DataFrame) -> str:
    """A sentence about the rounds of fitting if there were several: `epoch` starts again in each."""
    rounds = 1 + int((fit["epoch"].diff() < 0).sum()) if "epoch" in fit else 1
    return f" Shown one after the other: {rounds} rounds of fitting." if rounds > 1 else ""


def _labels_from_rows(material: Material) -> pd.DataFrame | None:
    """The curve with intervals, if the rows hold the same held-out tasks with several numbers of labels."""
    if material.rows is None:
        return None
    rows = material.rows
    rows = rows[(rows["dynamics"] == "learned") & (rows["reward"] == "learned")]
    rows = rows[(rows["split"] == "held_out") & (rows["labels"] > 0)]
    counts = sorted(set(rows["labels"]))
    shared = rows.groupby("task")["labels"].nunique()
    rows = rows[rows["task"].isin(shared.index[shared == len(counts)])]
    if len(counts) < 2 or rows.empty:
        return None
    return pd.DataFrame([_labels_point(count, rows[rows["labels"] == count]) for count in counts])


def _labels_point(count: int, rows: pd.DataFrame) -> dict[str, Any]:
    split = statistics.summarise_splits(statistics.headline(rows, "learned"))["held_out"]
    low, high = split["success_ci95"]
    return {"labels": count, "success": split["success_mean"], "low": low, "high": high}


def _forgotten(old: np.ndarray) -> str:
    lost = 100 * (old[0] - old.min())
    return f"old tasks lose at most {lost:.1f} percentage points" if lost > 0.05 else "old tasks lose nothing"


Vector = NDArray[np.float64]
PART = "interval_coverage"
GROUPS = {"moving_objects": "moving objects", "moving": "all that moves", "all": "all"}
"""Groups of columns; the chart shows the first one present, which the caption describes, and the last one."""


def coverage_chart(material: Material) -> Figure:
    """Share of held-out values within the predictive interval by horizon, before and after recalibration."""
    table = material.part(DIAGNOSTICS, PART)
    level = table.get("level") if isinstance(table, dict) else None
    if not isinstance(level, int | float):
        raise MissingPart(f"The {PART} part of diagnostics.json is not a table with a level.")
    found = [name for name in GROUPS if name in table]
    if not found:
        raise MissingPart(f"{PART} has none of {', '.join(GROUPS)}.")
    shown = {name: _coverage(table, name) for name in (found[0], found[-1])}
    with charts.axes() as on:
        on.axhline(level, color=charts.MUTED, lw=1.2)
        for (name, (horizon, before, after)), marker in zip(shown.items(), "os", strict=False):
            on.plot(horizon, after, f"{marker}-", color=charts.LEARNED, ms=4, label=GROUPS[name])
            on.plot(horizon, before, f"{marker}:", color=charts.WARM, ms=4, lw=1.2)
        on.lines[-1].set_label("before")
        on.set(xlabel="steps ahead", ylabel=f"within the {level:.0%} interval")
        on.set_ylim(0, 1)
        charts.whole_numbers(on)
        charts.legend_above(on)
        svg = charts.drawn(on, "Coverage of the predictive interval by number of steps ahead")
    return Figure("Coverage of intervals", _caption(table, found[0]), svg)


def _coverage(table: dict[str, Any], name: str) -> list[Vector]:
    """Horizon, coverage before and coverage after recalibration of one group of columns."""
    parts = [_under(table, name, when, "coverage") for when in ("before", "after")]
    rows = {"horizon": table.get("horizon"), "before": parts[0], "after": parts[1]}
    return columns(rows, list(rows), f"{PART}, {name},")


def _caption(table: dict[str, Any], name: str) -> str:
    text = (
        "The grey line is the nominal level. Intervals were fitted on one half of the held-out episodes and tested "
        "on the other; “before” takes the members' spread as it is. Columns at rest are predicted exactly, so any "
        "interval contains them; moving columns are the real test."
    )
    rows = {
        "horizon": table.get("horizon"),
        "width": _under(table, name, "after", "width"),
        "travel": _under(table, name, "travel"),
    }
    try:
        horizon, width, travel = columns(rows, list(rows), PART)
    except MissingPart:
        return text
    last = int(np.argmax(horizon))
    if not width[last] > 0:
        return text
    narrower = f"{travel[last] / width[last]:.1f} times narrower than without a model"
    return f"{text} For {GROUPS[name]}, {horizon[last]:g} steps ahead, they are {narrower}."


def _under(table: Any, *keys: str) -> Any:
    """The value under these keys, or None."""
    for key in keys:
        table = table.get(key) if isinstance(table, dict) else None
    return table


SQUARE_POINTS = 150
"""Dots per scatter plot: all plots together stay below 100 kB."""


@dataclass(frozen=True)
class Square:
    """The scatter plot of one task in a box of 100 by 100, origin at the top left.

    `path` draws a dot per transition (zero-length strokes with round caps); axes go from `low` to `high`.
    """

    task: str
    path: str
    low: float
    high: float
    correlation: float


def squares(material: Material) -> list[Square]:
    """A scatter plot for every task in the diagnostics, least correlated first."""
    tables = material.part(DIAGNOSTICS, "reward")
    if not isinstance(tables, list) or not tables:
        raise MissingPart("The reward part of diagnostics.json is not a list of tasks.")
    drawn = [_square(table) for table in tables]
    return sorted(drawn, key=lambda square: (square.correlation, square.task))


def _square(table: object) -> Square:
    true, predicted = columns(table, ["true", "predicted"], "reward")
    name = str(table.get("task", "unnamed")) if isinstance(table, dict) else "unnamed"
    low, high = float(min(true.min(), predicted.min())), float(max(true.max(), predicted.max()))
    scale = 92 / max(high - low, 1e-9)
    some = slice(None, None, -(-len(true) // SQUARE_POINTS))
    dots = zip(4 + scale * (true[some] - low), 96 - scale * (predicted[some] - low), strict=True)
    path = "".join(f"M{x:.0f} {y:.0f}h0" for x, y in dots)
    varied = true.std() > 0 and predicted.std() > 0
    correlation = float(np.corrcoef(true, predicted)[0, 1]) if varied else 0.0
    return Square(name, path, low, high, correlation)


BINS = 10
POINTS = 300
"""Single predictions drawn behind the bins: enough to see the spread, few enough for a small file."""
FIXTURES = 12


def horizon_error(material: Material) -> Figure:
    """Prediction error by horizon, the model against the forecast that nothing moves."""
    table = material.part(DIAGNOSTICS, "horizon_error")
    horizon, model, naive = columns(table, ["horizon", "model", "naive"], "horizon_error")
    with charts.axes() as on:
        on.plot(horizon, naive, "--", color=charts.WARM, label="“nothing moves”")
        on.plot(horizon, model, "-", color=charts.LEARNED, label="model")
        on.fill_between(horizon, model, naive, where=(model < naive), color=charts.LEARNED, alpha=0.1, lw=0)
        on.set(xlabel="steps ahead", ylabel="error (normalised)")
        on.set_ylim(bottom=0)
        charts.whole_numbers(on)
        charts.legend_above(on)
        svg = charts.drawn(on, "Prediction error by number of steps ahead, model and naive forecast")
    caption = "The shaded gap is what the model knows beyond “nothing moves”. "
    caption += _factor(horizon, model, naive)
    return Figure("Prediction error by horizon", caption, svg)


def disagreement_chart(material: Material) -> Figure:
    """Error of predictions grouped by the ensemble's disagreement, with Spearman's rank correlation."""
    table = material.part(DIAGNOSTICS, "disagreement")
    spread, error = columns(table, ["disagreement", "error"], "disagreement")
    with charts.axes() as on:
        some = slice(None, None, -(-len(spread) // POINTS))
        on.plot(spread[some], error[some], ".", color=charts.MUTED, alpha=0.25, ms=4, label="predictions")
        _binned(on, spread, error)
        if min(spread.min(), error.min()) > 0:
            on.set(xscale="log", yscale="log")
            charts.plain_logarithms(on.xaxis, on.yaxis)
        on.set(xlabel="disagreement of the ensemble", ylabel="true error")
        charts.legend_above(on)
        svg = charts.drawn(on, "True prediction error by disagreement of the ensemble")
    caption = (
        "Blue dots are medians of ten equal groups, bars hold the middle 80%. A rising line means that "
        f"the model knows where it is wrong.{_spearman(table.get('spearman'), spread, error)}"
    )
    return Figure("Disagreement against error", caption, svg)


def check_warning(material: Material) -> Figure:
    """Scores of `check` for fixtures that the data visited and never visited, with the AUROC."""
    table = material.part(DIAGNOSTICS, "check")
    if not isinstance(table, dict):
        raise MissingPart("The check part of diagnostics.json is not a table.")
    shown, rows = _fixtures(table)
    score, visited, row = columns({**table, "row": rows}, ["score", "visited", "row"], "check")
    with charts.axes((charts.SIZE[0], 1.4 + 0.26 * len(shown))) as on:
        for seen, marker, colour, label in (
            (1, "o", charts.LEARNED, "visited in the data"),
            (0, "^", charts.WARM, "never visited"),
        ):
            here = (visited == seen) & (row >= 0)
            on.plot(score[here], row[here], marker, color=colour, alpha=0.7, label=label)
        on.set_yticks(range(len(shown)), [single_line(name.replace("_", " ")) for name in shown])
        on.set_ylim(len(shown) - 0.5, -0.5)
        on.set(xlabel="score of the check")
        charts.legend_above(on)
        svg = charts.drawn(on, "Score of the check for visited and never visited fixtures")
    return Figure("Warning before running", _check_caption(material, table), svg)


def _fixtures(table: dict[str, Any]) -> tuple[list[str], list[int]]:
    """The fixtures to show, and the row of each score's fixture, which is -1 if the fixture is not shown."""
    scores, names = table.get("score"), table.get("fixture")
    count = len(scores) if isinstance(scores, list) else 0
    if not isinstance(names, list) or len(names) != count:
        return ["all fixtures"], [0] * count
    shown = list(dict.fromkeys(str(name) for name in names))[:FIXTURES]
    return shown, [shown.index(str(name)) if str(name) in shown else -1 for name in names]


def _check_caption(material: Material, table: dict[str, Any]) -> str:
    auroc = table.get("auroc")
    text = "Before a task runs, “check” scores how well the data covers it. The two kinds should lie apart."
    if isinstance(auroc, int | float):
        text += f" AUROC {auroc:.2f}: how often the score tells a visited from a never visited one."
    try:
        overall = material.part("summary.json", "check", "auroc")
    except MissingPart:
        return text
    different = isinstance(overall, int | float) and overall != auroc
    return f"{text} AUROC in summary.json: {overall:.2f}." if different else text


def _spearman(given: Any, spread: Vector, error: Vector) -> str:
    """A sentence with the rank correlation, which is computed if the file does not give it."""
    if not isinstance(given, int | float) and np.ptp(spread) > 0 and np.ptp(error) > 0:
        given = stats.spearmanr(spread, error).statistic
    known = isinstance(given, int | float)
    return f" Spearman's rank correlation: {given:.2f} (1 is perfect, 0 is none)." if known else ""


def _binned(on: Axes, spread: Vector, error: Vector) -> None:
    """Draw medians and the middle 80% of `error` in groups of equal size along `spread`."""
    groups = [group for group in np.array_split(np.argsort(spread, kind="stable"), BINS) if len(group)]
    middle = [float(np.median(spread[group])) for group in groups]
    low, centre, high = np.array([np.percentile(error[group], [10, 50, 90]) for group in groups]).T
    on.vlines(middle, low, high, color=charts.LEARNED, alpha=0.45, lw=5)
    on.plot(middle, centre, "o-", color=charts.LEARNED, label="median of a group")


def _factor(horizon: Vector, model: Vector, naive: Vector) -> str:
    last = int(np.argmax(horizon))
    if model[last] <= 0:
        return ""
    ratio, steps = naive[last] / model[last], f"{horizon[last]:g} steps ahead"
    if ratio < 1:
        return f"At {steps} the model is worse than that forecast."
    return f"At {steps} its error is {ratio:.1f} times smaller."


QUANTILES = ("p50", "p95", "p99")


@dataclass(frozen=True)
class StageTime:
    """Wall time of one stage: name, seconds, and its share of the longest stage for the bar."""

    name: str
    seconds: float
    share: float


def latency_chart(material: Material) -> tuple[dict[str, float], str]:
    """Percentiles of the time of one decision in milliseconds, and their source."""
    given = material.summary.get("plan_ms")
    if isinstance(given, dict) and all(isinstance(given.get(name), int | float) for name in QUANTILES):
        return {name: float(given[name]) for name in QUANTILES}, "over single decisions"
    times = _episode_times(material)
    return {name: float(np.percentile(times, int(name[1:]))) for name in QUANTILES}, "over episodes' means"


def latency_histogram(material: Material) -> Figure:
    """Histogram of the mean decision time of each episode."""
    rows = _decided(material)
    times = np.asarray(rows["plan_ms"])
    with charts.axes() as on:
        on.hist(times, bins=min(40, max(5, len(times) // 8)), color=charts.LEARNED, alpha=0.85, rwidth=0.92)
        on.set(xlabel="mean time of one decision in an episode, ms", ylabel="episodes")
        on.set_xlim(left=0)
        svg = charts.drawn(on, "Histogram of mean decision time by episode")
    caption = (
        f"Each of {len(times):,} episodes counts once, with its mean. Narrow and far to the left is good; "
        "a long tail would make a robot stutter."
    )
    caption = " ".join([caption, *decision_notes(summarise_decisions(rows))])
    caption = " ".join([caption, *divergence_note(int(rows["diverged"].sum()))])
    return Figure("Time of one decision", caption, svg)


def stages(material: Material) -> list[StageTime]:
    """Wall time per stage, in the order they ran."""
    given: Any = material.part(SUMMARY, "wall_seconds")
    if not isinstance(given, dict):
        raise MissingPart("wall_seconds in summary.json is not a table of stages.")
    seconds = {str(name): float(value) for name, value in given.items() if isinstance(value, int | float)}
    longest = max(seconds.values(), default=0.0)
    if longest <= 0:
        raise MissingPart("wall_seconds in summary.json holds no stages.")
    return [StageTime(name, value, value / longest) for name, value in seconds.items()]


def _episode_times(material: Material) -> np.ndarray:
    return np.asarray(_decided(material)["plan_ms"])


def _decided(material: Material) -> pd.DataFrame:
    """The episodes whose decisions were timed."""
    learned = material.headline("learned")
    rows = material.headline("oracle") if learned.empty else learned
    if not (rows["plan_ms"] > 0).any():
        raise MissingPart(f"{ROWS} holds no decision times.")
    return rows[rows["plan_ms"] > 0]
