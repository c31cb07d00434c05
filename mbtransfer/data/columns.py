"""Summary of a pool: episodes per behaviour and the range of each column."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32

from mbtransfer.data.header import Header
from mbtransfer.data.shards import Shard
from tasks.spec import Variable

BINS = 20
"""Coverage is counted in this many equal parts of a column's range."""


class Seen:
    """Minimum, maximum and visited parts of the range of each of C columns, gathered in pieces."""

    def __init__(self, columns: Sequence[Variable]) -> None:
        self._columns = columns
        self._min = np.full(len(columns), np.inf)
        self._max = np.full(len(columns), -np.inf)
        self._low = np.array([column.low for column in columns], np.float64)
        width = np.array([column.high for column in columns], np.float64) - self._low
        self._limited = np.isfinite(width) & (width > 0)
        self._low[~self._limited], width[~self._limited] = 0.0, 1.0
        self._width = width
        self._visited = np.zeros((len(columns), BINS), bool)

    def add(self, values: Float32[np.ndarray, "rows C"]) -> None:
        """Count these rows; a value outside the range counts in none of its parts."""
        self._min = np.minimum(self._min, values.min(axis=0))
        self._max = np.maximum(self._max, values.max(axis=0))
        share = (values - self._low) / self._width
        inside = (share >= 0) & (share <= 1)
        part = np.where(inside, np.minimum(share * BINS, BINS - 1), 0).astype(np.int64)
        rows, columns = np.nonzero(inside)
        self._visited[columns, part[rows, columns]] = True

    def pool_info(self) -> dict[str, dict[str, Any]]:
        """For each column: unit, range, min and max seen, and the share of the range visited (or None)."""
        return {
            column.name: {
                "unit": column.unit,
                "low": _finite(column.low),
                "high": _finite(column.high),
                "min": _finite(self._min[i]),
                "max": _finite(self._max[i]),
                "coverage": float(self._visited[i].mean()) if self._limited[i] else None,
            }
            for i, column in enumerate(self._columns)
        }


def pool_info(header: Header, parts: Sequence[tuple[Shard, Sequence[int]]]) -> dict[str, Any]:
    """Count episodes and steps per behaviour, and what each column has seen; see `Pool.info`."""
    obs, action = Seen(header.observation), Seen(header.action)
    episodes: Counter[str] = Counter()
    steps: Counter[str] = Counter()
    diverged = 0
    for shard, chosen in parts:
        whole = len(chosen) == len(shard.records)
        for piece in [shard.arrays] if whole else map(shard.episode, chosen):
            obs.add(piece.obs)
            action.add(piece.actions)
        for record in (shard.records[index] for index in chosen):
            episodes[record.behaviour] += 1
            steps[record.behaviour] += record.steps
            diverged += record.diverged
    return {
        "episodes": episodes.total(),
        "steps": steps.total(),
        "diverged": diverged,
        "behaviours": {name: {"episodes": episodes[name], "steps": steps[name]} for name in sorted(episodes)},
        "observation": obs.pool_info(),
        "action": action.pool_info(),
    }


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
