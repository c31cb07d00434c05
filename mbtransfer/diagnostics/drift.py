"""Drift: whether a model's one-step predictions still hold in new episodes, group of columns by group."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from scipy.stats import ttest_1samp
from torch import Tensor

from mbtransfer.diagnostics.calibration import LEVEL
from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.layout import Layout
from world_models.transitions import Segments, Transitions
from world_models.uncertainty.conformal import Intervals, moving
from world_models.uncertainty.forecast import forecast

SLACK = 0.05
"""How far below their level intervals may cover before it counts as drift.

They are fitted on few episodes, so that their true coverage scatters about the level even where nothing changes.
"""

SIGNIFICANCE = 0.01
"""Probability of finding any group drifted where none covers less than its level minus `SLACK`."""


def column_groups(layout: Layout) -> dict[str, list[int]]:
    """Columns of the `fixtures`, of the `hand` and all `others`; groups without columns are left out.

    Positions and velocities count to their body. Vectors from the hand to the handles follow from both and are with the
    others; constant columns, which nothing moves, are in no group.
    """
    groups: dict[str, list[int]] = {
        "fixtures": [c for body in layout.objects for c in (*body.positions, *body.velocities)],
        "hand": [*layout.hand.positions, *layout.hand.velocities] if layout.hand else [],
    }
    taken = {c for columns in groups.values() for c in columns} | set(layout.constant)
    groups["others"] = [c for c in range(layout.obs_size) if c not in taken]
    return {name: sorted(columns) for name, columns in groups.items() if columns}


@dataclass(frozen=True, eq=False)
class OneStep:
    """Predictions of B transitions beside what happened.

    Attributes:
        error: difference of the members' mean and the truth, in units of each column's scale of change.
        change: what truly changed, in the same unit: the error of the forecast that nothing moves.
        inside: whether the truth lies in the 90% interval.
        moves: which entries moved or were expected to, see `world_models.uncertainty.conformal.moving`.
    """

    error: Float[Tensor, "B O"]
    change: Float[Tensor, "B O"]
    inside: Bool[Tensor, "B O"]
    moves: Bool[Tensor, "B O"]

    def relative_error(self, columns: Sequence[int], rows: Bool[Tensor, " B"] | None = None) -> float | None:
        """Root mean square error over these columns as a share of that of 'nothing moves'; None if nothing does."""
        error, change = self.error[:, list(columns)], self.change[:, list(columns)]
        if rows is not None:
            error, change = error[rows], change[rows]
        still = float(change.square().sum())
        return (float(error.square().sum()) / still) ** 0.5 if still > 0 else None


def one_step(dynamics: EnsembleDynamics, intervals: Intervals, data: Transitions, seed: int = 0) -> OneStep:
    """Predict every transition alone, with the elite members."""
    ends = torch.stack([data.obs, data.next_obs], dim=1)
    seen = forecast(dynamics, Segments(ends, data.actions[:, None]), seed)
    error = (seen.mean - seen.truth)[0]
    inside = error.abs() <= intervals.half_width(seen.spread, LEVEL)[0]
    return OneStep(error / seen.change, (seen.truth[0] - seen.start) / seen.change, inside, moving(seen)[0])


def drift(
    seen: OneStep, episode: Int64[np.ndarray, " B"], groups: Mapping[str, Sequence[int]]
) -> dict[str, dict[str, Any]]:
    """Test for each group whether the intervals cover less of what moves than they should.

    The entries of an episode depend on each other, so an episode counts as one observation: the share of its moving
    entries that lie inside their intervals. A one-sided t-test compares the mean share with `LEVEL` - `SLACK`. It is
    approximate, as shares are not normal; so as not to trust it with few episodes, its p-value is never below the
    probability that one entry of each episode misses its interval. Groups are tested together by Holm's step-down
    procedure (Holm 1979).

    Args:
        seen: predictions of a model that never saw these transitions.
        episode: number of each transition's episode.
        groups: columns by name, see `column_groups`.

    Returns:
        Per group `episodes` (in which anything of it moved), `coverage` (mean over these of the share inside),
        `p_value` and `drifted`. Where nothing moved, the coverage is None, and so is the p-value of a single episode.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, columns in groups.items():
        moves, inside = (
            part[:, list(columns)].cpu().numpy() for part in (seen.moves, seen.inside & seen.moves)
        )
        entries, hits = (np.bincount(episode, weights=part.sum(axis=1)) for part in (moves, inside))
        shares = hits[entries > 0] / entries[entries > 0]
        coverage = float(shares.mean()) if len(shares) else None
        found[name] = {"episodes": len(shares), "coverage": coverage, "p_value": _p_value(shares)}
    tested = {name: one["p_value"] for name, one in found.items() if one["p_value"] is not None}
    drifted = holm(tested, SIGNIFICANCE)
    return {name: one | {"drifted": name in drifted} for name, one in found.items()}


def _p_value(shares: Float[np.ndarray, " E"]) -> float | None:
    """Of the hypothesis that the mean share is at least what it should be; None for a single episode."""
    least = LEVEL - SLACK
    if len(shares) < 2:
        return None
    if np.ptp(shares) == 0:  # a t-test divides by the spread
        tested = 0.0 if shares[0] < least else 1.0
    else:
        tested = float(ttest_1samp(shares, least, alternative="less").pvalue)
    return max(tested, (1 - least) ** len(shares))


def holm(p_values: Mapping[str, float], level: float) -> set[str]:
    """Names of the hypotheses rejected at a family-wise error rate of `level` (Holm 1979, step-down)."""
    rejected = set[str]()
    for rank, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        if p_values[name] > level / (len(p_values) - rank):
            break
        rejected.add(name)
    return rejected
