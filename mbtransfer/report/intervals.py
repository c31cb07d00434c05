"""Do predictive intervals hold what they promise: their coverage by horizon, before and after recalibration."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbtransfer.report import figure
from mbtransfer.report.figure import Figure
from mbtransfer.report.material import DIAGNOSTICS, Material, MissingPart, columns

Vector = NDArray[np.float64]
PART = "interval_coverage"
GROUPS = {"moving_objects": "moving objects", "moving": "all that moves", "all": "all"}
"""Groups of columns; shown are the first that is there, of which the caption speaks, and the last."""


def coverage(material: Material) -> Figure:
    """Share of held-out values within the predictive interval by horizon, and before recalibration."""
    table = material.part(DIAGNOSTICS, PART)
    level = table.get("level") if isinstance(table, dict) else None
    if not isinstance(level, int | float):
        raise MissingPart(f"The {PART} part of diagnostics.json is not a table with a level.")
    found = [name for name in GROUPS if name in table]
    if not found:
        raise MissingPart(f"{PART} has none of {', '.join(GROUPS)}.")
    shown = {name: _coverage(table, name) for name in (found[0], found[-1])}
    with figure.axes() as on:
        on.axhline(level, color=figure.MUTED, lw=1.2)
        for (name, (horizon, before, after)), marker in zip(shown.items(), "os", strict=False):
            on.plot(horizon, after, f"{marker}-", color=figure.LEARNED, ms=4, label=GROUPS[name])
            on.plot(horizon, before, f"{marker}:", color=figure.WARM, ms=4, lw=1.2)
        on.lines[-1].set_label("before")
        on.set(xlabel="steps ahead", ylabel=f"within the {level:.0%} interval")
        on.set_ylim(0, 1)
        figure.whole_numbers(on)
        figure.legend_above(on)
        svg = figure.drawn(on, "Coverage of the predictive interval by number of steps ahead")
    return Figure("Coverage of intervals", _caption(table, found[0]), svg)


def _coverage(table: dict[str, Any], name: str) -> list[Vector]:
    """Horizon, coverage before and coverage after recalibration of one group of columns."""
    parts = [_under(table, name, when, "coverage") for when in ("before", "after")]
    rows = {"horizon": table.get("horizon"), "before": parts[0], "after": parts[1]}
    return columns(rows, list(rows), f"{PART}, {name},")


def _caption(table: dict[str, Any], name: str) -> str:
    text = (
        "The grey line is what was promised. Intervals were made from one half of the held-out episodes and tested "
        "on the other; “before” takes the members' spread as it is. What rests is predicted exactly, so any "
        "interval holds it; what moves is the test."
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
    """What lies under these keys, or None."""
    for key in keys:
        table = table.get(key) if isinstance(table, dict) else None
    return table
