"""Conformal predictive intervals by horizon.

Locally weighted split conformal prediction (Lei, G'Sell, Rinaldo, Tibshirani and Wasserman 2018, section 5.2):
a score is the error of a forecast over the spread of its particles, plus a floor; an interval reaches as many
spreads to either side as held-out scores did. Quantiles are taken per step and kind of column, over those
columns only that move or were expected to (Mondrian groups; Vovk, Lindsay, Nouretdinov and Gammerman 2003):
most fixtures rest exactly, and their scores of nought would make every other interval too narrow.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from world_models.errors import ModelError
from world_models.layout import Layout
from world_models.uncertainty.forecast import Forecast

NOTE = "intervals"
"""Name under which intervals are kept among a model's notes."""

LEVELS = (*(round(0.05 * k, 2) for k in range(1, 20)), 0.98, 0.99)
"""Shares of held-out values within an interval for which widths are kept."""

FLOOR = 0.003
"""Least spread, in units of a column's scale of change: members may agree to the last bit."""

MOVING = 0.01
"""A column moves when it strays from the stretch's start by more than this, in the same unit."""

LEAST = 20
"""Scores from which on a group has quantiles of its own; a smaller one takes those of all columns."""


def moving(forecast: Forecast) -> Bool[Tensor, "H R O"]:
    """Which columns move, or were expected to, by each step."""
    far = torch.maximum((forecast.truth - forecast.start).abs(), (forecast.mean - forecast.start).abs())
    return far / forecast.change > MOVING


@dataclass(frozen=True, eq=False)
class Intervals:
    """Within which interval a column will be after h steps.

    Attributes:
        groups: each column's group; see `column_groups`.
        floor: least spread of each column, in its unit.
        factors: half-widths in spreads, per group, by step and level (`LEVELS`).
    """

    groups: tuple[str, ...]
    floor: Float[Tensor, " O"]
    factors: Mapping[str, Float[Tensor, "H L"]]

    @classmethod
    def fit(cls, forecast: Forecast, layout: Layout) -> "Intervals":
        """From forecasts on held-out episodes that no later test uses."""
        floor, groups = FLOOR * forecast.change, column_groups(layout)
        scores = (forecast.truth - forecast.mean).abs() / (forecast.spread + floor)
        moves = moving(forecast)
        factors = {}
        for group in dict.fromkeys(groups):
            columns = torch.tensor([name == group for name in groups], device=floor.device)
            factors[group] = torch.stack(
                [_factors(score, move, columns) for score, move in zip(scores, moves, strict=True)]
            )
        return cls(groups, floor, factors)

    def around(
        self, mean: Float[Tensor, "H *b O"], spread: Float[Tensor, "H *b O"], level: float = 0.9
    ) -> tuple[Float[Tensor, "H *b O"], Float[Tensor, "H *b O"]]:
        """The interval in which about a share `level` of the columns that move will lie, after 1 to H steps.

        Args:
            mean: of the particles of a roll-out, such as `forecast` or `Imagination` with all members make.
            spread: their standard deviation.
            level: share, from 0.05 to 0.99.

        Returns:
            Lower and upper ends, in the columns' units. Beyond the last step calibrated its factors serve.

        Raises:
            ModelError: a level out of range.
        """
        half = self.half_width(spread, level)
        return mean - half, mean + half

    def half_width(self, spread: Float[Tensor, "H *b O"], level: float = 0.9) -> Float[Tensor, "H *b O"]:
        """Half the width of that interval; see `around`."""
        if not LEVELS[0] <= level <= LEVELS[-1]:
            raise ModelError(f"intervals are known for levels from {LEVELS[0]} to {LEVELS[-1]}, not {level}")
        above = next(k for k, known in enumerate(LEVELS) if known >= level)
        below = max(above - 1, 0)
        share = 1.0 if above == 0 else (level - LEVELS[below]) / (LEVELS[above] - LEVELS[below])
        table = torch.stack([self.factors[group] for group in self.groups], dim=-1).to(spread)
        factor = torch.lerp(table[:, below], table[:, above], share)
        factor = factor[torch.arange(len(spread)).clamp(max=len(factor) - 1)]
        shape = (len(spread), *[1] * (spread.ndim - 2), -1)
        return (spread + self.floor.to(spread)) * factor.reshape(shape)

    def to_json(self) -> dict[str, Any]:
        """As plain names and numbers, for a model's notes."""
        factors = {name: [_short(row) for row in table.tolist()] for name, table in self.factors.items()}
        return {"groups": list(self.groups), "floor": _short(self.floor.tolist()), "factors": factors}

    @classmethod
    def of(cls, notes: Mapping[str, Any]) -> "Intervals":
        """Back from the notes of a model.

        Raises:
            ModelError: the model was fitted without intervals, or its notes are damaged.
        """
        if NOTE not in notes:
            raise ModelError("the model has no intervals; fit it again with `mbtransfer fit`")
        try:
            found = notes[NOTE]
            groups = tuple(str(name) for name in found["groups"])
            floor = torch.tensor(found["floor"], dtype=torch.float32)
            factors = {name: torch.tensor(found["factors"][name], dtype=torch.float32) for name in groups}
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError("the model's intervals are damaged; fit it again") from error
        shapes = {tuple(table.shape) for table in factors.values()}
        steps = min((shape[0] for shape in shapes if shape), default=0)
        whole = shapes == {(steps, len(LEVELS))} and steps > 0 and floor.shape == (len(groups),)
        if not whole or not all(bool(part.isfinite().all()) for part in (floor, *factors.values())):
            raise ModelError("the model's intervals are damaged; fit it again")
        return cls(groups, floor, factors)


def column_groups(layout: Layout) -> tuple[str, ...]:
    """Which columns share their quantiles: those of a kind, and each column that belongs to no body alone."""
    kinds = dict(enumerate(layout.columns))
    for kind, bodies in (("hand", [layout.hand] if layout.hand else []), ("object", list(layout.objects))):
        for body in bodies:
            kinds |= dict.fromkeys(body.positions, f"{kind} positions")
            kinds |= dict.fromkeys(body.velocities, f"{kind} velocities")
            kinds |= dict.fromkeys(body.vector, "vectors")
    return tuple(kinds[column] for column in range(layout.obs_size))


def _factors(
    score: Float[Tensor, "R O"], move: Bool[Tensor, "R O"], columns: Bool[Tensor, " O"]
) -> Float[Tensor, " L"]:
    """Quantiles of a group's scores after one step, each with the correction for a finite sample."""
    own = score[:, columns][move[:, columns]]
    for found in (own, score[move], score.flatten()):
        if len(found) >= LEAST:
            break
    ranks = [min(len(found), ceil((len(found) + 1) * level)) for level in LEVELS]
    return found.sort().values[torch.tensor(ranks, device=score.device) - 1]


def _short(values: Sequence[float]) -> list[float]:
    return [float(f"{value:.5g}") for value in values]
