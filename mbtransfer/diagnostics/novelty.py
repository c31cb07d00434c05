"""Novelty detection: scores of visited and never visited states."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.stats import mannwhitneyu
from torch import Tensor

from mbtransfer.data.coverage import MOVING
from tasks.spec import EnvSpec
from world_models.uncertainty.disagreement import DisagreementScale
from world_models.uncertainty.forecast import Forecast
from world_models.uncertainty.novelty import Familiarity

GAP = 0.02
"""A fixture's position is new if all of its positions in the pool are farther away than this share of its range."""

TOUCH = 0.08
"""Distance of hand and handle (m) below which they may touch."""


@dataclass(frozen=True, eq=False)
class Unvisited:
    """Which segments start with a fixture at a position that the pool never visited.

    Attributes:
        anywhere: at least one fixture is at such a position, wherever the hand is.
        in_touch: the hand is within `TOUCH` of such a fixture's handle.
        moving: such a fixture moves in the first step.
        fixtures: names of the fixtures that are at such a position in any segment.
    """

    anywhere: Bool[ndarray, " R"]
    in_touch: Bool[ndarray, " R"]
    moving: Bool[ndarray, " R"]
    fixtures: tuple[str, ...]

    @classmethod
    def of(cls, spec: EnvSpec, pool: Float[ndarray, "N O"], obs: Float[Tensor, "R points O"]) -> "Unvisited":
        """Compare the fixtures at the start of each segment with all states of the pool."""
        columns = [fixture.position for fixture in spec.fixtures]
        places = np.sort(pool[:, columns], axis=0)
        start, after = obs[:, 0].cpu().numpy(), obs[:, 1].cpu().numpy()
        away = np.zeros((len(obs), len(columns)), bool)
        near, moves = away.copy(), away.copy()
        for k, fixture in enumerate(spec.fixtures):
            at, then = start[:, fixture.position], after[:, fixture.position]
            away[:, k] = _gap(places[:, k], at) > GAP * fixture.span
            near[:, k] = np.linalg.norm(start[:, list(fixture.handle)], axis=1) < TOUCH
            moves[:, k] = np.abs(then - at) > MOVING * fixture.span
        found = tuple(spec.fixtures[k].name for k in np.flatnonzero(away.any(axis=0)))
        anywhere, in_touch, moving = ((away & more).any(axis=1) for more in (True, near, moves))
        return cls(np.asarray(anywhere), np.asarray(in_touch), np.asarray(moving), found)


def signals(
    forecast: Forecast, scale: DisagreementScale, familiarity: Familiarity
) -> dict[str, Float[ndarray, " R"]]:
    """Signals that may detect a state that was never visited, each from 0 to 1, for the first step of each segment.

    `disagreement` is its percentile after that step, `rarity` that of the state before it, `novelty` the greater
    of the two (`world_models.uncertainty.disagreement.Novelty`).
    """
    apart, rare = scale.percentile(forecast.disagreement[:1])[0], familiarity.rarity(forecast.start)
    parts = {"disagreement": apart, "rarity": rare, "novelty": torch.maximum(apart, rare)}
    return {name: part.cpu().numpy() for name, part in parts.items()}


def separation(
    unvisited: Unvisited, elsewhere: Mapping[str, ndarray], pool: Mapping[str, ndarray]
) -> dict[str, Any]:
    """AUROC of each signal for each kind of unvisited state, against every visited one.

    Args:
        unvisited: flags of the other data's segments.
        elsewhere: signals of these segments.
        pool: signals of held-out segments of the pool, all of them visited.
    """
    kinds = {name: getattr(unvisited, name) for name in ("anywhere", "in_touch", "moving")}
    return {
        "fixtures": list(unvisited.fixtures),
        "visited": int((~unvisited.anywhere).sum()) + len(pool["novelty"]),
        "unvisited": {name: int(rows.sum()) for name, rows in kinds.items()},
        "auroc": {
            signal: {
                kind: auroc(score[rows], np.concatenate([score[~unvisited.anywhere], pool[signal]]))
                for kind, rows in kinds.items()
            }
            for signal, score in elsewhere.items()
        },
    }


def auroc(positive: Float[ndarray, " n"], negative: Float[ndarray, " m"]) -> float | None:
    """Probability that a positive scores higher than a negative; ties count half (Mann and Whitney 1947)."""
    if not len(positive) or not len(negative):
        return None
    ranks = mannwhitneyu(positive, negative, method="asymptotic").statistic
    return float(ranks / (len(positive) * len(negative)))


def _gap(places: ndarray, at: ndarray) -> ndarray:
    """Distance of each value to the nearest of the sorted places."""
    after = np.searchsorted(places, at)
    above = places[after.clip(max=len(places) - 1)]
    return np.minimum(np.abs(at - above), np.abs(at - places[(after - 1).clip(min=0)]))
