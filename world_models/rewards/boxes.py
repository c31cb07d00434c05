"""Success as a box: a few quantities that must all lie within intervals, found from labelled states.

Friedman and Fisher (1999), "Bump hunting in high-dimensional data" (PRIM), from the inside out: start with
the hull of the successes and keep the intervals that shut failures out.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from world_models.rewards.atoms import BUMP, EDGE, Atoms

FAR = 10.0
"""No quantity ever comes here."""

SIDES = 4
"""Quantities that a box constrains at the most."""


@dataclass(frozen=True)
class Box:
    """Intervals [low, high] of `SIDES` quantities; unused sides are infinitely wide."""

    quantity: Int[Tensor, "*k S"]
    low: Float[Tensor, "*k S"]
    high: Float[Tensor, "*k S"]

    def __call__(self, x: Float[Tensor, "*b Q"]) -> Float[Tensor, "..."]:
        """How far inside each box: near one inside, near zero outside, a half on the edge; [*b *k]."""
        return self.of_columns(x[..., self.quantity, None])[..., 0]

    def of_columns(self, x: Float[Tensor, "*h S N"]) -> Float[Tensor, "*h N"]:
        """The same for N rows, each side given its own quantity."""
        inside = torch.minimum(x - self.low[..., None], self.high[..., None] - x)
        return torch.sigmoid(inside.amin(dim=-2) / EDGE)

    def bumps(self) -> Atoms:
        """Its sides as atoms: rewards often jump where success begins. An open end lies far away."""
        low, high = self.low.clamp(min=-FAR), self.high.clamp(max=FAR)
        used = (self.low > -FAR) | (self.high < FAR)
        used &= self.low < self.high
        at, width = (low + high)[used] / 2, (high - low)[used] / 2
        return Atoms(self.quantity[used], torch.full_like(self.quantity[used], BUMP), at, width)


def find_box(x: Float[Tensor, "N Q"], success: Bool[Tensor, " N"]) -> Box:
    """The box of few sides that holds every success and the fewest failures; empty where none succeeded."""
    quantity = torch.zeros(SIDES, dtype=torch.long)
    low, high = torch.full((SIDES,), -torch.inf), torch.full((SIDES,), torch.inf)
    if not bool(success.any()):
        return Box(quantity, high.clone(), low.clone())
    wins, fails = x[success], x[~success]
    floor, roof = wins.amin(dim=0), wins.amax(dim=0)
    for side in range(SIDES):
        shut = (fails < floor) | (fails > roof)
        best = int(shut.sum(dim=0).argmax())
        if int(shut[:, best].sum()) <= 0.02 * len(wins):
            break
        quantity[side] = best
        low[side] = _edge(fails[:, best], floor[best], below=True)
        high[side] = _edge(fails[:, best], roof[best], below=False)
        fails = fails[~shut[:, best]]
    return Box(quantity, low, high)


def _edge(fails: Tensor, hull: Tensor, below: bool) -> float:
    """Half way between the outermost success and the nearest failure beyond it; open where there is none."""
    beyond = fails[fails < hull] if below else fails[fails > hull]
    if len(beyond) == 0:
        return -torch.inf if below else torch.inf
    nearest = beyond.max() if below else beyond.min()
    return float((hull + nearest) / 2)
