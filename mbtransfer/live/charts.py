"""Plots of a live session: reward, success and disagreement, time per decision."""

from collections import deque
from collections.abc import Sequence

import numpy as np
import viser
from jaxtyping import Float
from numpy import ndarray
from viser import uplot

from mbtransfer.live.session import Moment

KEPT = 300
"""Control steps that plots show."""

_HEIGHT, _AXIS = 130, 52
_BLUE, _GREEN, _RED = "#266894", "#28aa5a", "#d72828"


class Charts:
    """Three plots over the last control steps.

    Args:
        gui: of viser, in the place where the plots go.
        control_dt: seconds per control step.
    """

    def __init__(self, gui: viser.GuiApi, control_dt: float) -> None:
        self._control_dt = control_dt
        self._rows: deque[tuple[float, ...]] = deque(maxlen=KEPT)
        self._count = self._drawn = 0
        self._reward = _plot(gui, "reward", [("reward", _BLUE)])
        self._sure = _plot(
            gui, "success probability and disagreement",
            [("success within the plan", _GREEN), ("disagreement", _RED)], (0.0, 1.0),
        )  # fmt: skip
        self._time = _plot(gui, "milliseconds per decision", [("ms", _BLUE)])
        self._note = gui.add_markdown("no decision yet")

    def add(self, moment: Moment) -> None:
        """Take up a control step; it shows at the next `draw`."""
        self._count += 1
        disagreement = moment.outlook.disagreement
        doubt = float("nan") if disagreement is None else float(disagreement.mean())
        self._rows.append((self._count, moment.reward, moment.outlook.chance, doubt, moment.plan_ms))

    def draw(self) -> None:
        """Show what was taken up."""
        rows = list(self._rows)  # a copy at once: the planning thread goes on adding
        if len(rows) < 2 or self._count == self._drawn:
            return
        self._drawn = self._count
        step, reward, chance, doubt, milliseconds = np.array(rows).T
        self._reward.data = (step, reward)
        self._sure.data = (step, chance, doubt)
        self._time.data = (step, milliseconds)
        self._note.content = timing(milliseconds, self._control_dt)


def timing(milliseconds: Float[ndarray, " n"], control_dt: float) -> str:
    """Percentiles of the time of a decision against the control step, in words."""
    middle, late = np.percentile(milliseconds, [50, 99])
    return (
        f"decision: {middle:.0f} ms (p50), {late:.0f} ms (p99) of {1e3 * control_dt:.0f} ms per control step"
    )


def _plot(
    gui: viser.GuiApi,
    title: str,
    lines: Sequence[tuple[str, str]],
    between: tuple[float, float] | None = None,
) -> viser.GuiUplotHandle:
    nothing = np.zeros(2)
    scale = uplot.Scale(auto=True) if between is None else uplot.Scale(range=between)
    return gui.add_uplot(
        data=(np.arange(2.0), *(nothing for _ in lines)),
        series=(uplot.Series(label="step"), *(uplot.Series(label=n, stroke=c, width=2) for n, c in lines)),
        scales={"x": uplot.Scale(time=False, auto=True), "y": scale},
        axes=(uplot.Axis(), uplot.Axis(size=_AXIS)),
        legend=uplot.Legend(show=len(lines) > 1, live=False),
        title=title,
        height=_HEIGHT,
    )
