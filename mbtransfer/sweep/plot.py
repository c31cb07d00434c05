"""Plot of a sweep: importance of settings, and parallel coordinates."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from mbtransfer.runtime.files import replacing
from mbtransfer.sweep.config import SweepFile

INK, MUTED, GRID, BAR = "#1f2933", "#6b7785", "#e4e8ec", "#2f6f9f"
WORDS = 12
"""Different values up to which each is a tick of its own."""


def plot_sweep(file: SweepFile, scored: pd.DataFrame, share: Mapping[str, float], path: Path) -> None:
    """Draw into a PNG file.

    Args:
        file: what was asked for.
        scored: trials with a metric, best first.
        share: importance by parameter, greatest first.
        path: where to.

    Raises:
        UserError: the file cannot be written.
    """
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever the user's matplotlibrc says
        matplotlib.rcParams.update({"text.parse_math": False, "font.size": 9, "text.color": INK})
        figure = Figure(figsize=(4.5 + 1.6 * len(share), 3.6), layout="constrained")
        bars, lines = figure.subplots(1, 2, width_ratios=[2.2, 1.6 * len(share) + 1])
        _bars(bars, share)
        colours = ScalarMappable(Normalize(scored["metric"].min(), scored["metric"].max()), "viridis")
        _lines(lines, scored, list(share), colours)
        figure.colorbar(colours, ax=lines, label=file.metric, pad=0.01).outline.set_visible(False)
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png", dpi=140, facecolor="white")


def _bars(axes: Axes, share: Mapping[str, float]) -> None:
    axes.barh(list(share), list(share.values()), color=BAR, height=0.6)
    axes.invert_yaxis()
    axes.set_title("importance (random forest)", loc="left", color=INK, fontsize=9)
    axes.set_xlim(0, 1)
    _quiet(axes)


def _lines(axes: Axes, scored: pd.DataFrame, names: list[str], colours: ScalarMappable) -> None:
    """One axis per parameter, each with its own ticks; the best trials are drawn last, on top."""
    places = np.stack([_scaled(axes, scored[name], place) for place, name in enumerate(names)], axis=1)
    for heights, metric in reversed(list(zip(places, scored["metric"], strict=True))):
        x = range(len(names)) if len(names) > 1 else [-0.2, 0.2]
        y = heights if len(names) > 1 else np.repeat(heights, 2)
        axes.plot(x, y, color=colours.to_rgba(metric), linewidth=1.5, alpha=0.85)
    axes.set_xticks(range(len(names)), names, color=INK)
    axes.set_yticks([])
    axes.set_ylim(-0.06, 1.06)
    axes.set_title("trials", loc="left", color=INK, fontsize=9)
    _quiet(axes)


def _scaled(
    axes: Axes, values: "pd.Series[float]", place: int
) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Heights from 0 to 1, and the ticks of this parameter's axis."""
    axes.axvline(place, color=MUTED, linewidth=0.8, zorder=0)
    known = sorted(set(values), key=lambda value: (isinstance(value, str), value))
    if len(known) <= WORDS and not isinstance(known[0], float):
        heights = {value: i / max(1, len(known) - 1) for i, value in enumerate(known)}
        ticks = [(height, str(value)) for value, height in heights.items()]
        scaled = values.map(heights).to_numpy(float)
    else:
        low, high = known[0], known[-1] if len(known) > 1 else known[0] + 1
        ticks = [(share, f"{low + share * (high - low):.3g}") for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
        scaled = ((values - low) / (high - low)).to_numpy(float)
    for height, text in ticks:
        axes.annotate(text, (place, height), (4, 0), textcoords="offset points", va="center", color=MUTED)
    return scaled


def _quiet(axes: Axes) -> None:
    axes.tick_params(colors=MUTED, length=0)
    for side in axes.spines.values():
        side.set_visible(False)
