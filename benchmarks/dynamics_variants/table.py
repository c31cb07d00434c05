"""Tables of `benchmarks.dynamics_variants`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.dynamics_variants.measure import QUARTERS, worst_tenth


def as_markdown(runs: Sequence[dict[str, Any]]) -> str:
    """Three tables, each number the mean over seeds."""
    first = runs[0]
    planners = list(first["worth"])
    worth = {name: [run["worth"][name] for run in runs] for name in planners}
    lines = _head("variant", planners)
    for variant in worth[planners[0]][0]["variants"]:
        lines.append(_row(variant, [[run["variants"][variant] for run in worth[name]] for name in planners]))
    if first["identified"]:
        lines += ["", *_head("R2 of the logarithm", [f"{share:g} episodes" for share in QUARTERS])]
        for name in first["identified"]:
            scores = [[run["identified"][name][f"{share:g}"] for run in runs] for share in QUARTERS]
            lines.append(_row(name, scores))
    lines += ["", *_head("drawn variants", planners)]
    drawn = [[np.array(run["drawn"]) for run in worth[name]] for name in planners]
    lines.append(_row("mean", [[float(each.mean()) for each in ones] for ones in drawn]))
    lines.append(_row("worst tenth", [[worst_tenth(each) for each in ones] for ones in drawn]))
    return "\n".join(lines)


def _row(name: str, cells: Sequence[Sequence[float]]) -> str:
    """The mean over seeds of each cell."""
    means = [float(np.mean(cell)) for cell in cells]
    return f"| {' | '.join([name, *(f'{x:.3f}' if abs(x) < 10 else f'{x:.0f}' for x in means)])} |"


def _head(first: str, names: Sequence[str]) -> list[str]:
    return [f"| {' | '.join([first, *names])} |", "|---" + "|---:" * len(names) + "|"]
