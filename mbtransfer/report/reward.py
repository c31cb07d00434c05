"""Reward predicted against true, one small square per task."""

from dataclasses import dataclass

import numpy as np

from mbtransfer.report.material import DIAGNOSTICS, Material, MissingPart, columns

POINTS = 150
"""Dots per square: all squares together stay below 100 kB."""


@dataclass(frozen=True)
class Square:
    """One task's scatter in a box of 100 by 100, origin at the top left.

    `path` draws a dot per transition (zero-length strokes with round caps); axes go from `low` to `high`.
    """

    task: str
    path: str
    low: float
    high: float
    correlation: float


def squares(material: Material) -> list[Square]:
    """A square for every task in the diagnostics, least correlated first."""
    tables = material.part(DIAGNOSTICS, "reward")
    if not isinstance(tables, list) or not tables:
        raise MissingPart("The reward part of diagnostics.json is not a list of tasks.")
    drawn = [_square(table) for table in tables]
    return sorted(drawn, key=lambda square: (square.correlation, square.task))


def _square(table: object) -> Square:
    true, predicted = columns(table, ["true", "predicted"], "reward")
    name = str(table.get("task", "unnamed")) if isinstance(table, dict) else "unnamed"
    low, high = float(min(true.min(), predicted.min())), float(max(true.max(), predicted.max()))
    scale = 92 / max(high - low, 1e-9)
    some = slice(None, None, -(-len(true) // POINTS))
    dots = zip(4 + scale * (true[some] - low), 96 - scale * (predicted[some] - low), strict=True)
    path = "".join(f"M{x:.0f} {y:.0f}h0" for x, y in dots)
    varied = true.std() > 0 and predicted.std() > 0
    correlation = float(np.corrcoef(true, predicted)[0, 1]) if varied else 0.0
    return Square(name, path, low, high, correlation)
