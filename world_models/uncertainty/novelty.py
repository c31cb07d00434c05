"""Novelty of states relative to the training data.

A histogram per column (HBOS, Goldstein and Dengel 2012, histogram-based outlier score), of which the rarest
column counts rather than the sum: one fixture at a place where it never stood is enough. It is a look-up, not
an inference, so it knows no combinations of columns.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.layout import Layout

BINS = 20
"""Equal parts of each column's range; two more lie beyond its ends."""


@dataclass(frozen=True, eq=False)
class Familiarity:
    """How often each part of each column's range was visited.

    Attributes:
        low: lower end of each column's range.
        width: width of one part of it.
        surprise: minus the logarithm of the share of states in each part.
        seen: surprise of the rarest column of each state it was made from, in rising order.
    """

    low: Float[Tensor, " O"]
    width: Float[Tensor, " O"]
    surprise: Float[Tensor, "O parts"]
    seen: Float[Tensor, " N"]

    @classmethod
    def of(cls, obs: Float[Tensor, "N O"], layout: Layout) -> "Familiarity":
        """Count the states of a pool; `layout` has the columns' ranges."""
        low, high = (torch.tensor(end, device=obs.device) for end in (layout.low, layout.high))
        width = (high - low) / BINS
        parts = _part(obs, low, width)
        one = torch.ones((), device=obs.device).expand(parts.T.shape)
        counts = obs.new_zeros(obs.shape[1], BINS + 2).scatter_add_(1, parts.T, one)
        surprise = -((counts + 1) / (len(obs) + BINS + 2)).log()
        return cls(low, width, surprise, _rarest(surprise, parts).sort().values)

    def rarity(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b"]:
        """Share of the pool's states that are less rare, from 0 to 1; 1 where a column was never there."""
        surprise = _rarest(self.surprise, _part(obs, self.low, self.width)).contiguous()
        return torch.searchsorted(self.seen, surprise) / len(self.seen)


def _part(obs: Tensor, low: Tensor, width: Tensor) -> Tensor:
    """The part of its range that each value is in, from 0 (below it) to BINS + 1 (above)."""
    return (((obs - low) / width).floor().nan_to_num(BINS).clamp(-1, BINS) + 1).long()


def _rarest(surprise: Float[Tensor, "O parts"], parts: Tensor) -> Tensor:
    columns = torch.arange(len(surprise), device=surprise.device)
    return surprise[columns, parts].amax(dim=-1)
