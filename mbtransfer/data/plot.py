"""Plot of a dataset: histograms of columns and a heat map of fixtures."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpecFromSubplotSpec
from numpy import ndarray

from mbtransfer.data.summary import DatasetSummary
from mbtransfer.runtime.files import replacing
from tasks.spec import Variable

ACROSS = 7
MOST = 140
"""Histograms; columns beyond are counted in the caption."""

INK, MUTED, GRID = "#1f2933", "#6b7785", "#e4e8ec"
SEEN, DONE = "#2f6f9f", "#c9772b"
HEAT = LinearSegmentedColormap.from_list("heat", ["#e3eef6", "#7fb2d6", "#2f6f9f", "#12344d"])

Column = tuple[Variable, ndarray, str]


def plot_dataset(
    look: DatasetSummary, columns: tuple[Sequence[Variable], Sequence[Variable]], name: str, path: Path
) -> None:
    """Draw what was found into a PNG or SVG file.

    Args:
        look: of a dataset that is not empty.
        columns: its observation and action columns.
        name: what the title calls it.
        path: where to; its suffix says which format.

    Raises:
        UserError: the file cannot be written.
    """
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever the user's matplotlibrc says
        matplotlib.rcParams.update({"text.parse_math": False, "svg.hashsalt": name, "font.size": 8})
        figure = _figure(look, list(_histograms(look, columns)), name)
        with replacing(path) as temporary:
            figure.savefig(temporary, format=path.suffix[1:], dpi=140, facecolor="white")


def _histograms(
    look: DatasetSummary, columns: tuple[Sequence[Variable], Sequence[Variable]]
) -> Iterator[Column]:
    assert look.sample is not None
    sides = (look.sample.obs, SEEN), (look.sample.actions, DONE)
    for side, (values, colour) in zip(columns, sides, strict=True):
        yield from ((column, values[:, i], colour) for i, column in enumerate(side))


def _figure(look: DatasetSummary, columns: list[Column], name: str) -> Figure:
    found, shown = look.found, columns[:MOST]
    rows, fixtures = -(-len(shown) // ACROSS), found["fixtures"]
    heights = [0.95 * rows, 0.27 * len(fixtures) + 0.55 if fixtures else 0.01]
    total = sum(heights) + 1.15
    figure = Figure(figsize=(13, total))
    figure.text(0.03, 1 - 0.32 / total, name, fontsize=15, weight="bold", color=INK, va="center")
    figure.text(0.03, 1 - 0.6 / total, _caption(found, len(columns)), fontsize=9.5, color=MUTED, va="center")
    edges = {"left": 0.03, "right": 0.97, "top": 1 - 0.95 / total, "bottom": 0.3 / total}
    grid = figure.add_gridspec(2, 1, height_ratios=heights, hspace=1.3 / total, **edges)
    panels = GridSpecFromSubplotSpec(rows, ACROSS, subplot_spec=grid[0], hspace=1.15, wspace=0.14)
    for place, (column, values, colour) in enumerate(shown):
        _histogram(figure.add_subplot(panels[place]), column, values, colour)
    if fixtures:
        inner = GridSpecFromSubplotSpec(1, 2, subplot_spec=grid[1], width_ratios=[0.09, 0.91], wspace=0.01)
        _heat_map(figure.add_subplot(inner[1]), fixtures)
    return figure


def _caption(found: Mapping[str, Any], columns: int) -> str:
    parts = [found["env"], f"{found['episodes']:,} episodes", f"{found['steps']:,} control steps"]
    steps = found["steps"]
    shares = sorted(found["behaviours"].items(), key=lambda item: -item[1]["steps"])
    parts += [f"{name} {100 * counts['steps'] / steps:.0f}%" for name, counts in shares[:6]]
    parts += [f"{columns - MOST} columns more"] if columns > MOST else []
    return "  ·  ".join(parts)


def _histogram(on: Axes, column: Variable, values: ndarray, colour: str) -> None:
    """Of one column, over its range where it has one; heights are roots, what lies outside is in the outer bars."""
    low, high = (float(side(values)) for side in (np.min, np.max))
    low = column.low if np.isfinite(column.low) else low
    high = column.high if np.isfinite(column.high) else high
    if high <= low:
        low, high = low - 0.5, high + 0.5
    counts, edges = np.histogram(np.clip(values, low, high), bins=40, range=(low, high))
    on.bar(edges[:-1], np.sqrt(counts), width=np.diff(edges), align="edge", color=colour, linewidth=0)
    on.set(xlim=(low, high), yticks=[], xticks=[low, high])
    times = "× " if column.unit[:1].isdigit() else ""
    ends = f"{low:.3g}", f"{high:.3g} {times}{column.unit}".rstrip()
    on.set_xticklabels(ends, fontsize=6.5, color=MUTED)
    _outwards(on)
    on.tick_params(length=0, pad=2)
    on.set_title(column.name, fontsize=7.5, color=INK, loc="left", pad=3)
    for side in ("left", "right", "top"):
        on.spines[side].set_visible(False)
    on.spines["bottom"].set_color(GRID)


def _heat_map(on: Axes, fixtures: Mapping[str, Any]) -> None:
    """One row per fixture: movements in each part of its range; beside it how often it moved."""
    counts = np.array([fixture["parts"] for fixture in fixtures.values()], float)
    highest = max(2.0, counts.max())
    on.imshow(np.ma.masked_less(counts, 1), aspect="auto", cmap=HEAT, norm=LogNorm(1, highest))
    on.set_facecolor("#f7f8f9")
    on.set_yticks(range(len(fixtures)), list(fixtures), color=INK, fontsize=8.5)
    ends = [-0.5, counts.shape[1] - 0.5]
    on.set_xticks(ends, ["lower end of its range", "upper end"], color=MUTED)
    _outwards(on)
    on.set_title(
        "Where each fixture was moved, and in how many of the control steps",
        fontsize=9.5,
        color=INK,
        loc="left",
    )
    on.set_xticks(np.arange(0.5, counts.shape[1] - 1), minor=True)
    on.set_yticks(np.arange(0.5, len(fixtures) - 1), minor=True)
    on.grid(which="minor", color="white", linewidth=1.5)
    on.tick_params(which="both", length=0)
    for spine in on.spines.values():
        spine.set_visible(False)
    middle = np.sqrt(highest)
    for (row, part), count in np.ndenumerate(counts):
        ink = MUTED if count == 0 else "white" if count > middle else INK
        text = "–" if count == 0 else f"{count:,.0f}" if count < 10_000 else f"{count / 1000:,.0f}k"
        on.text(part, row, text, ha="center", va="center", fontsize=6.5, color=ink)
    for row, fixture in enumerate(fixtures.values()):
        on.text(ends[1] + 0.15, row, f"{100 * fixture['moved']:.1f}%", va="center", fontsize=8.5, color=INK)


def _outwards(on: Axes) -> None:
    """Write the labels of both ends inside of them."""
    first, last = on.get_xticklabels()
    first.set_horizontalalignment("left")
    last.set_horizontalalignment("right")
