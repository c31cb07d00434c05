"""One look for all figures: a small SVG on white, its text left as text, the same bytes for the same demo."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mbtransfer import Dataset, Model
from mbtransfer.runtime.files import replacing
from tasks.environment import Environment

INK, MUTED, GRID = "#1f2933", "#6b7785", "#e4e8ec"
BLUE, ORANGE, GREEN, RED = "#2f6f9f", "#c9772b", "#3a8f5c", "#b5443c"
COLOURS = (BLUE, ORANGE, GREEN, RED, "#7a5ea8", "#8a7a3f")

STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.labelcolor": MUTED,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "grid.color": GRID,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
}


@dataclass(frozen=True)
class Demo:
    """What `mbtransfer demo` left in a folder; each part is read when it is first drawn from."""

    folder: Path

    @cached_property
    def model(self) -> Model:
        """The fitted model."""
        return Model.load(self.folder / "model", device="cpu")

    @cached_property
    def locked(self) -> Model:
        """The model whose data had some fixtures locked."""
        return Model.load(self.folder / "locked", device="cpu")

    @cached_property
    def data(self) -> Dataset:
        """The pool."""
        return Dataset.open(self.folder / "data")

    @property
    def kitchen(self) -> Environment:
        """The world of it all."""
        found: Environment = self.model.environment
        return found


Draw = Callable[[Demo, Figure], None]


@contextmanager
def canvas(path: Path, size: tuple[float, float]) -> Iterator[Figure]:
    """An empty figure in the one style, which is written when the block ends."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever the user's matplotlibrc says
        matplotlib.rcParams.update(STYLE | {"svg.hashsalt": path.stem})
        figure = Figure(figsize=size)
        yield figure
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            figure.savefig(
                temporary, format="svg", facecolor="white", dpi=110, metadata={"Date": None, "Creator": None}
            )


def legend_below(axes: Axes, columns: int = 4) -> None:
    """A legend under the axes, where it covers no data."""
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncol=columns)
