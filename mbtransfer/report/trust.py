"""Can the model be trusted: error by horizon, disagreement as a warning, and what `check` makes of it."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy import stats

from mbtransfer.report import figure
from mbtransfer.report.figure import Figure
from mbtransfer.report.material import DIAGNOSTICS, Material, MissingPart, columns

Vector = NDArray[np.float64]
BINS = 10
POINTS = 300
"""Single predictions drawn behind the bins: enough to see the spread, few enough for a small file."""
FIXTURES = 12


def horizon_error(material: Material) -> Figure:
    """Prediction error by horizon, the model against the forecast that nothing moves."""
    table = material.part(DIAGNOSTICS, "horizon_error")
    horizon, model, naive = columns(table, ["horizon", "model", "naive"], "horizon_error")
    with figure.axes() as on:
        on.plot(horizon, naive, "--", color=figure.WARM, label="“nothing moves”")
        on.plot(horizon, model, "-", color=figure.LEARNED, label="model")
        on.fill_between(horizon, model, naive, where=(model < naive), color=figure.LEARNED, alpha=0.1, lw=0)
        on.set(xlabel="steps ahead", ylabel="error (normalised)")
        on.set_ylim(bottom=0)
        figure.whole_numbers(on)
        figure.legend_above(on)
        svg = figure.drawn(on, "Prediction error by number of steps ahead, model and naive forecast")
    caption = "The shaded gap is what the model knows beyond “nothing moves”. "
    caption += _factor(horizon, model, naive)
    return Figure("Prediction error by horizon", caption, svg)


def disagreement(material: Material) -> Figure:
    """Error of predictions grouped by the ensemble's disagreement, with Spearman's rank correlation."""
    table = material.part(DIAGNOSTICS, "disagreement")
    spread, error = columns(table, ["disagreement", "error"], "disagreement")
    with figure.axes() as on:
        some = slice(None, None, -(-len(spread) // POINTS))
        on.plot(spread[some], error[some], ".", color=figure.MUTED, alpha=0.25, ms=4, label="predictions")
        _binned(on, spread, error)
        if min(spread.min(), error.min()) > 0:
            on.set(xscale="log", yscale="log")
            figure.plain_logarithms(on.xaxis, on.yaxis)
        on.set(xlabel="disagreement of the ensemble", ylabel="true error")
        figure.legend_above(on)
        svg = figure.drawn(on, "True prediction error by disagreement of the ensemble")
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
    with figure.axes((figure.SIZE[0], 1.4 + 0.26 * len(shown))) as on:
        for seen, marker, colour, label in (
            (1, "o", figure.LEARNED, "visited in the data"),
            (0, "^", figure.WARM, "never visited"),
        ):
            here = (visited == seen) & (row >= 0)
            on.plot(score[here], row[here], marker, color=colour, alpha=0.7, label=label)
        on.set_yticks(range(len(shown)), [name.replace("_", " ") for name in shown])
        on.set_ylim(len(shown) - 0.5, -0.5)
        on.set(xlabel="score of the check")
        figure.legend_above(on)
        svg = figure.drawn(on, "Score of the check for visited and never visited fixtures")
    return Figure("Warning before running", _check_caption(material, table), svg)


def _fixtures(table: dict[str, Any]) -> tuple[list[str], list[int]]:
    """The fixtures to show, and for every score the row of its fixture, -1 beyond the last."""
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
        text += f" AUROC {auroc:.2f}: of one visited and one never visited, how often the score tells which."
    try:
        overall = material.part("summary.json", "check", "auroc")
    except MissingPart:
        return text
    different = isinstance(overall, int | float) and overall != auroc
    return f"{text} AUROC in summary.json: {overall:.2f}." if different else text


def _spearman(given: Any, spread: Vector, error: Vector) -> str:
    """A sentence with the rank correlation, computed when the file does not give it."""
    if not isinstance(given, int | float) and np.ptp(spread) > 0 and np.ptp(error) > 0:
        given = stats.spearmanr(spread, error).statistic
    known = isinstance(given, int | float)
    return f" Spearman's rank correlation: {given:.2f} (1 is perfect, 0 is none)." if known else ""


def _binned(on: Axes, spread: Vector, error: Vector) -> None:
    """Medians and middle 80 % of `error` in groups of equal size along `spread`."""
    groups = [group for group in np.array_split(np.argsort(spread, kind="stable"), BINS) if len(group)]
    middle = [float(np.median(spread[group])) for group in groups]
    low, centre, high = np.array([np.percentile(error[group], [10, 50, 90]) for group in groups]).T
    on.vlines(middle, low, high, color=figure.LEARNED, alpha=0.45, lw=5)
    on.plot(middle, centre, "o-", color=figure.LEARNED, label="median of a group")


def _factor(horizon: Vector, model: Vector, naive: Vector) -> str:
    last = int(np.argmax(horizon))
    if model[last] <= 0:
        return ""
    ratio, steps = naive[last] / model[last], f"{horizon[last]:g} steps ahead"
    if ratio < 1:
        return f"At {steps} the model is worse than that forecast."
    return f"At {steps} its error is {ratio:.1f} times smaller."
