"""SVG charts in the style of the report."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, PercentFormatter

from mbtransfer.runtime.streams import printable

XLINK = Markup('xmlns:xlink="http://www.w3.org/1999/xlink"')
# Placeholder colours for Matplotlib; each becomes a CSS variable, so that one drawing serves both themes.
INK, MUTED, GRID = "#0a0a01", "#0a0a02", "#0a0a03"
LEARNED, ORACLE, WARM = "#0a0a04", "#0a0a05", "#0a0a06"
VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    LEARNED: "--learned",
    ORACLE: "--oracle",
    WARM: "--warm",
}
SIZE = (5.8, 3.5)
"""In inches; about 420 by 250 CSS pixels, so that text stays readable at full width on a phone."""

STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": GRID,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelcolor": MUTED,
    "axes.labelpad": 6,
    "axes.labelsize": 11.5,
    "axes.linewidth": 1.0,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with Matplotlib; the page's own font replaces it
    "font.size": 11.5,
    "grid.color": GRID,
    "grid.linewidth": 1.0,
    "legend.borderaxespad": 0.2,
    "legend.columnspacing": 1.4,
    "legend.fontsize": 11.5,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "legend.labelcolor": INK,
    "lines.linewidth": 2.2,
    "lines.markersize": 6.5,
    "lines.solid_capstyle": "round",
    "svg.fonttype": "none",
    "text.color": INK,
    "text.parse_math": False,  # a task may be called "$"
    "text.usetex": False,
    "xtick.color": GRID,
    "xtick.labelcolor": MUTED,
    "xtick.minor.bottom": False,
    "ytick.color": GRID,
    "ytick.labelcolor": MUTED,
    "ytick.left": False,
    "ytick.minor.left": False,
}


@dataclass(frozen=True)
class Figure:
    """A drawing with a heading and a caption that explains it; safe to insert into the page as it is."""

    title: str
    caption: str
    svg: Markup


@contextmanager
def axes(size: tuple[float, float] = SIZE) -> Iterator[Axes]:
    """Empty axes in the report's style; call `drawn` for the SVG before leaving the block."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # ignore the user's matplotlibrc
        matplotlib.rcParams.update(STYLE)
        canvas = Canvas(figsize=size)
        FigureCanvasSVG(canvas)
        yield canvas.add_subplot()


def drawn(on: Axes, label: str) -> Markup:
    """The SVG element of the figure that `on` belongs to, named `label` for screen readers.

    `label` also seeds the identifiers inside, so it must be unique on a page.
    """
    matplotlib.rcParams["svg.hashsalt"] = label
    buffer = io.StringIO()
    assert isinstance(on.figure, Canvas), "`axes` makes no nested figures"
    on.figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    box, body = _split(printable(buffer.getvalue()))
    for colour, variable in VARIABLES.items():
        body = body.replace(colour, f"var({variable})")
    opening = Markup('<svg role="img" aria-label="{}" viewBox="{}" {}>').format(label, box, XLINK)
    return opening + Markup(body)


def legend_above(on: Axes) -> None:
    """Place a legend in one line above the axes, where it covers no data."""
    handles, labels = on.get_legend_handles_labels()
    on.legend(handles, labels, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncol=len(labels))


def percent_axis(on: Axes) -> None:
    """Scale the vertical axis from 0 to 100%, with room for markers at both ends."""
    on.set_ylim(-0.03, 1.05)
    on.set_yticks([0, 0.25, 0.5, 0.75, 1.0])
    on.yaxis.set_major_formatter(PercentFormatter(xmax=1.0, decimals=0))


def whole_numbers(on: Axes) -> None:
    """Place the ticks of the horizontal axis at whole numbers only."""
    on.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def plain_logarithms(*logarithmic: Axis) -> None:
    """Place ticks at 1, 2 and 5 times powers of ten, written as plain numbers."""
    for axis in logarithmic:
        low, high = axis.get_data_interval()
        wide = high > 100 * low
        axis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0), numticks=8))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axis.set_minor_formatter(NullFormatter())


def _split(document: str) -> tuple[str, str]:
    """The view box of an SVG document and the content of its root element, without identifiers of groups.

    Matplotlib's own style sheet is removed, as it would apply to the whole page; `style.css` has the same rules.
    """
    opening = re.search(r'<svg [^>]*viewBox="([^"]+)"[^>]*>', document)
    assert opening, "Matplotlib writes a view box"
    body = re.sub(r"\s*<(metadata|style)\b.*?</\1>", "", document[opening.end() :], flags=re.DOTALL)
    # Groups have the same identifiers in every figure, and nothing refers to them.
    return opening.group(1), re.sub(r'<g id="[^"]*"', "<g", body)
