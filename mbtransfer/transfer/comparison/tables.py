"""The summary of a comparison as tables for the terminal and in Markdown, and as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from rich import box
from rich.table import Table

from mbtransfer.report.comparison_charts import named, once
from mbtransfer.runtime.files import replacing
from mbtransfer.transfer.comparison.aggregates import INTERVALS
from mbtransfer.transfer.comparison.transfer_gain import OWN, POOLED

INK, MUTED, GRID, DOT = "#1f2933", "#6b7785", "#e4e8ec", "#2f6f9f"

FIRST = ("method", "K")
"""The method, and the episodes of practice."""

SUCCESS = ("targets", "success", "95%", "IQM", "95%")
SCORE = ("score", "95%", "median", "min")
COSTS = ("pool", "steps", "labels", "pretrain s", "solve s", "ms/action", "parameters")
RESULTS = (*SUCCESS, *SCORE)
NARROW = {"pretrain s": "pre s", "ms/action": "ms", "parameters": "params"}
"""Headings that a terminal of 80 columns has no room for."""


def cells(entry: Mapping[str, Any]) -> list[str]:
    """The cells of a method's row: its name and practice, then those of `RESULTS` and of `COSTS`."""

    def text(name: str, form: str) -> str:
        return "–" if entry.get(name) is None else format(entry[name], form)

    def ends(name: str) -> str:
        return "–" if entry[name] is None else "–".join(f"{end:.2f}" for end in entry[name])

    return [
        *(str(entry[name]) for name in ("method", "practice", "targets")),
        text("success_mean", ".2f"), ends("success_ci95"),
        text("success_iqm", ".2f"), ends("success_iqm_ci95"), text("score_mean", ".2f"), ends("score_ci95"),
        text("score_median", ".2f"), text("score_min", ".2f"),
        *(text(name, ",.0f") for name in ("pool", "steps", "labels")), text("pretrain_seconds", ",.0f"),
        text("solve_seconds", ",.1f"), text("action_ms", ",.2f"), text("parameters", ",.0f"),
    ]  # fmt: skip


def tables(summary: Sequence[Mapping[str, Any]]) -> list[Table]:
    """Success, score and costs for the terminal; a table each, so that they fit. Costs are not repeated."""
    rows, first, cut = [cells(entry) for entry in summary], len(FIRST), len(FIRST) + len(SUCCESS)
    end = cut + len(SCORE)
    priced = [[named(entry), *cells(entry)[end:]] for entry in once(summary)]
    return [
        _table((*FIRST, *SUCCESS), [row[:cut] for row in rows]),
        _table((*FIRST, *SCORE), [[*row[:first], *row[cut:end]] for row in rows]),
        _table((FIRST[0], *(NARROW.get(name, name) for name in COSTS)), priced),
    ]


def gain_table(gain: Mapping[str, Any]) -> Table:
    """What pooling adds, for the terminal: mean, median and minimum over targets, then each target, worst first."""

    def text(value: float, ends: Sequence[float]) -> tuple[str, str]:
        return f"{value:+.2f}", " to ".join(f"{end:+.2f}" for end in ends)

    whole = {"mean": "mean", "median": "median", "min": "minimum"}
    rows = [(title, "", "", *text(gain[name], gain[INTERVALS[name]])) for name, title in whole.items()]
    for line in gain["targets"]:
        shares = (f"{line[name]:.2f}" for name in ("pooled", "own"))
        rows.append((line["target"], *shares, *text(line["gain"], line["gain_ci95"])))
    return _table(("target", POOLED, OWN, "gain", "95%"), rows)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column(headings[0], no_wrap=True)
    for heading in headings[1:]:
        shown.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        shown.add_row(*row)
    return shown


def markdown(summary: Sequence[Mapping[str, Any]]) -> str:
    """All of it as a table in Markdown."""
    headings = (*FIRST, *RESULTS, *COSTS)
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
        for entry in once(summary):
            if entry["success_mean"] is None:
                continue
            x, y, (low, high) = entry["action_ms"], entry["success_mean"], entry["success_ci95"]
            axes.vlines(x, low, high, color=DOT, alpha=0.35, lw=5)
            axes.plot(x, y, "o", color=DOT)
            axes.annotate(named(entry), (x, y), (7, -3), textcoords="offset points")
        axes.set(xscale="log", xlabel="milliseconds per action", ylabel="success", ylim=(-0.05, 1.05))
        axes.margins(x=0.2)
        axes.grid(axis="y", color=GRID)
        axes.spines[:].set_visible(False)
        axes.tick_params(colors=MUTED, which="both")
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png", dpi=140, facecolor="white")
