"""Drift: whether a model's one-step predictions still hold in new episodes, group of columns by group."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from scipy.stats import binomtest
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


def one_step(
    dynamics: EnsembleDynamics, intervals: Intervals, data: Transitions, seed: int = 0
) -> OneStep:
    """Predict every transition alone, with the elite members."""
    ends = torch.stack([data.obs, data.next_obs], dim=1)
    seen = forecast(dynamics, Segments(ends, data.actions[:, None]), seed)
    error = (seen.mean - seen.truth)[0]
    inside = error.abs() <= intervals.half_width(seen.spread, LEVEL)[0]
    return OneStep(error / seen.change, (seen.truth[0] - seen.start) / seen.change, inside, moving(seen)[0])


def drift(
    seen: OneStep, episode: Int64[np.ndarray, " B"], groups: Mapping[str, Sequence[int]], seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Test for each group whether the intervals cover less of what moves than they should.

    From each episode a single moving entry is drawn, as the entries of an episode depend on each other. So the draws of
    independent episodes are independent, and how many of them lie inside their intervals is binomial: an exact
    one-sided test against `LEVEL` - `SLACK`. The price is power; with ten episodes, at most four draws may lie inside.
    Groups are tested together by Holm's step-down procedure (Holm 1979).

    Args:
        seen: predictions of a model that never saw these transitions.
        episode: number of each transition's episode.
        groups: columns by name, see `column_groups`.
        seed: of the draws.

    Returns:
        Per group `episodes` (in which anything of it moved), `coverage` (share inside of all its moving entries),
        `drawn_inside`, `p_value` and `drifted`. Where nothing moved, the coverage and the p-value are None.
    """
    generator = np.random.default_rng([seed, 1])
    found: dict[str, dict[str, Any]] = {}
    for name, columns in groups.items():
        moves, inside = (part[:, list(columns)].cpu().numpy() for part in (seen.moves, seen.inside))
        row, column = np.nonzero(moves)
        order = generator.permutation(len(row))
        _, first = np.unique(episode[row[order]], return_index=True)  # of each episode, a random one
        drawn = inside[row[order[first]], column[order[first]]]
        hits, count = int(drawn.sum()), len(drawn)
        p_value = float(binomtest(hits, count, LEVEL - SLACK, "less").pvalue) if count else None
        coverage = float(inside[moves].mean()) if count else None
        found[name] = {"episodes": count, "coverage": coverage, "drawn_inside": hits, "p_value": p_value}
    drifted = holm({name: one["p_value"] for name, one in found.items() if one["episodes"]}, SIGNIFICANCE)
    return {name: one | {"drifted": name in drifted} for name, one in found.items()}


def holm(p_values: Mapping[str, float], level: float) -> set[str]:
    """Names of the hypotheses rejected at a family-wise error rate of `level` (Holm 1979, step-down)."""
    rejected = set[str]()
    for rank, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        if p_values[name] > level / (len(p_values) - rank):
            break
        rejected.add(name)
    return rejected
