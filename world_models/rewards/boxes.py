"""Success as boxes: intervals of a few quantities.

Friedman and Fisher (1999), "Bump hunting in high-dimensional data" (PRIM), from the inside out.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from world_models.rewards.basis import BUMP, EDGE, FAR, Atoms

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


WELL = 0.002
"""Share of the successes by which one box may be wrong without more of them being tried."""

MOST_BOXES = 4
"""Boxes of a union at the most."""

FEW = 0.1
"""Share of the successes that a union may leave out."""

PURE = 0.01
"""Failures for each success in a box that is pure."""

SEARCHED = 2000
"""Successes, and failures, among which an interval is searched."""


def find_boxes(x: Float[Tensor, "N Q"], success: Bool[Tensor, " N"], plain: int | None = None) -> Box:
    """One box, or the union of a few, [U S]; the first is empty if none succeeded.

    Args:
        x: quantities of states.
        success: which of them are successes.
        plain: how many of the quantities are used unless with all of them half as many states are judged wrongly.
    """
    boxes = _boxes(x[:, :plain], success)
    wrong = _wrong(boxes, x, success)
    if plain in (None, x.shape[1]) or wrong <= WELL * float(success.float().mean()):
        return boxes
    others = _boxes(x, success)
    return others if _wrong(others, x, success) < 0.5 * wrong else boxes


def _boxes(x: Float[Tensor, "N Q"], success: Bool[Tensor, " N"]) -> Box:
    """One box, or where it holds too many failures the union of a few."""
    one = _joined([find_box(x, success)])
    wrong = _wrong(one, x, success)
    if wrong <= WELL * float(success.float().mean()):
        return one
    left = success.clone()
    boxes: list[Box] = []
    while len(boxes) < MOST_BOXES and int(left.sum()) > FEW * int(success.sum()):
        boxes.append(_core(x, left, success))
        left &= boxes[-1](x) < 0.5
    union = _joined(boxes)
    return union if _wrong(union, x, success) < 0.5 * wrong else one


def _joined(boxes: list[Box]) -> Box:
    """Boxes side by side, [U S]."""
    return Box(*(torch.stack([vars(box)[part] for box in boxes]) for part in ("quantity", "low", "high")))


def _wrong(box: Box, x: Tensor, success: Tensor) -> float:
    """Share of the states whose success a union gets wrong."""
    inside = (box(x) > 0.5).any(dim=1)
    return float((inside != success).float().mean())


def _core(x: Tensor, left: Tensor, success: Tensor) -> Box:
    """A pure box that holds many of the successes that are left: narrowed interval by interval, then let out again."""
    wins, fails = x[left], x[~success]
    for _ in range(SIDES):
        q, low, high = _best_interval(wins, fails)
        wins, fails = (part[(part[:, q] >= low) & (part[:, q] <= high)] for part in (wins, fails))
        if len(fails) <= PURE * len(wins):
            break
    chosen = left & ((x >= wins.amin(dim=0)) & (x <= wins.amax(dim=0))).all(dim=1)
    for _ in range(4):
        box = find_box(x[chosen | ~success], chosen[chosen | ~success])
        more = left & (box(x) > 0.5)
        if int(more.sum()) <= int(chosen.sum()):
            break
        chosen = more
    return box


def _best_interval(wins: Float[Tensor, "n Q"], fails: Float[Tensor, "m Q"]) -> tuple[int, float, float]:
    """The quantity and interval with the largest share of the successes less that of the failures (Youden's J)."""
    wins, fails = wins[:SEARCHED], fails[:SEARCHED]
    values, order = torch.cat([wins, fails]).sort(dim=0)
    weight = torch.cat(
        [wins.new_full((len(wins),), 1 / len(wins)), wins.new_full((len(fails),), -1 / max(1, len(fails)))]
    )
    total = nn.functional.pad(weight[order].cumsum(dim=0), (0, 0, 1, 0))
    whole = torch.ones_like(total, dtype=torch.bool)
    whole[1:-1] = values[1:] > values[:-1]  # equal values stay together
    begin = total.where(whole, torch.inf).cummin(dim=0)
    gain = total.where(whole, -torch.inf) - begin.values
    ends = gain.argmax(dim=0)
    q = int(gain.amax(dim=0).argmax())
    first, last = int(begin.indices[ends[q], q]), int(ends[q])
    return q, float(values[first, q]), float(values[max(first, last - 1), q])
