"""Figures of what was measured: risk before a task is run, intervals, and learning from a few episodes."""

import json
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from scipy.stats import norm

from benchmarks.figures.look import BLUE, GREEN, INK, MUTED, ORANGE, Demo
from mbtransfer import UserError
from mbtransfer.diagnostics.calibration import LEVELS, held_out_halves, stretches
from world_models.uncertainty.conformal import Intervals, moving
from world_models.uncertainty.forecast import forecast


def risk(demo: Demo, figure: Figure) -> None:
    """The risk that `check` tells, of every named task, for the model whose data had three fixtures locked."""
    axes, found = figure.add_subplot(), _read(demo, "diagnostics.json")["check"]
    order = np.argsort(np.array(found["score"]), kind="stable")
    names, scores, known = (np.array(found[key])[order] for key in ("fixture", "score", "visited"))
    least = 0.01  # a risk of nought stays visible
    for flag, colour, label in (
        (0, ORANGE, "its fixture was locked"),
        (1, BLUE, "its fixtures moved in the data"),
    ):
        rows = np.flatnonzero(known == flag)
        axes.bar(rows, np.maximum(scores[rows], least), color=colour, label=label)
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=6.5)
    axes.grid(axis="x", visible=False)
    axes.set(ylabel="risk", xlim=(-0.7, len(names) - 0.3))
    axes.legend(loc="upper left")


def calibration(demo: Demo, figure: Figure) -> None:
    """Of what moves, the share within intervals of each level, on episodes that nothing was fitted to."""
    axes, model = figure.add_subplot(aspect="equal"), demo.model
    _, test = held_out_halves(demo.data)
    seen = forecast(model.dynamics, stretches(test, 0), 0)
    rows, error, made = moving(seen), (seen.truth - seen.mean).abs(), Intervals.of(model.notes)
    before = [seen.spread * float(norm.ppf((1 + level) / 2)) for level in LEVELS]
    after = [made.half_width(seen.spread, level) for level in LEVELS]
    axes.plot([0, 1], [0, 1], ":", color=MUTED, label="as promised")
    for widths, colour, label in (
        (before, ORANGE, "members' spread as it is"),
        (after, BLUE, "recalibrated"),
    ):
        held = [float(torch.as_tensor(error <= width)[rows].float().mean()) for width in widths]
        axes.plot(LEVELS, held, "o-", ms=3, color=colour, label=label)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0))
    axes.set(xlabel="promised", ylabel="held", xlim=(0, 1), ylim=(0, 1))
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def adaptation(demo: Demo, figure: Figure) -> None:
    """Success at a task whose fixture had never moved, and at the old ones, by episodes of the new task."""
    axes, curve = figure.add_subplot(), _read(demo, "summary.json")["adapt"]
    axes.plot(curve["episodes"], curve["old"], "s-", color=GREEN, label="old tasks, mean")
    axes.plot(curve["episodes"], curve["new"], "o-", color=BLUE, lw=2, label=f"{curve['task']}, new")
    axes.set(xlabel=f"episodes of {curve['task']}", ylabel="success", ylim=(-0.05, 1.05))
    axes.set_xticks(curve["episodes"])
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.legend(loc="lower right", labelcolor=INK)


def _read(demo: Demo, name: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((demo.folder / name).read_text(encoding="utf-8"))
        return found
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {demo.folder / name}: {error}; is the demo finished?") from error
