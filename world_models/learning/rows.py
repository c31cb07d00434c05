"""Which transitions each member is trained on: shuffles, weighted draws, bootstrap samples, replay mixes."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from world_models.errors import ModelError
from world_models.layout import Layout
from world_models.normalizer import moved
from world_models.transitions import Transitions

MOST = 20.0
"""Times that a transition is drawn, at most, for one time without weights: more would be learned by heart."""


def draw_rows(
    size: int,
    count: int,
    generator: torch.Generator,
    weights: Float[Tensor, " N"] | None = None,
    bags: Int[Tensor, "E N"] | None = None,
    members: int = 5,
) -> Int[Tensor, "E count"]:
    """For each member, which of `size` transitions to train on, drawn on the CPU.

    Each member has its own shuffle, begun anew when it is through; with `weights` it draws with replacement,
    each row as often as its weight says. With `bags` (see `draw_bags`) member e sees the rows bags[e] only.
    """
    drawn = []
    for member in range(members):
        bag = None if bags is None else bags[member]
        if weights is None:
            shuffles = [torch.randperm(size, generator=generator) for _ in range(-(-count // size))]
            rows = torch.cat(shuffles)[:count]
        else:
            upto = (weights if bag is None else weights[bag]).double().cumsum(0)
            point = torch.rand(count, dtype=torch.double, generator=generator) * upto[-1]
            rows = torch.searchsorted(upto, point, right=True).clamp(max=size - 1)
        drawn.append(rows if bag is None else bag[rows])
    return torch.stack(drawn)


def draw_bags(size: int, members: int, generator: torch.Generator) -> Int[Tensor, "E N"]:
    """A bootstrap sample of the rows for each member (Breiman 1996, bagging; PETS section 4)."""
    return torch.randint(size, (members, size), generator=generator)


def replay_weights(sizes: Sequence[int], shares: Sequence[float]) -> Float[Tensor, " N"]:
    """Row weights with which part i of joined data makes `shares[i]` of each batch, whatever its size.

    Raises:
        ModelError: not one share for each part, an empty part, or shares that are no mix.
    """
    if len(sizes) != len(shares) or min(sizes, default=0) < 1:
        raise ModelError(f"a replay mix needs one share for each part, not {shares} for sizes {sizes}")
    if min(shares) < 0 or not 0 < sum(shares) < math.inf:
        raise ModelError(f"shares of a replay mix must be positive and finite, not {shares}")
    return torch.cat([torch.full((n,), share / n) for n, share in zip(sizes, shares, strict=True)])


def moving_weights(data: Transitions, layout: Layout, share: float) -> Float[Tensor, " N"]:
    """Row weights with which `share` of each batch are transitions in which an object moves, each object as often.

    Most fixtures rest most of the time, and some move in one transition of a thousand: drawn as they come, those
    would hardly be learned. A row is never drawn more than `MOST` times as often as without weights.

    Raises:
        ModelError: no share, or nothing of which it could be.
    """
    if not 0 < share <= 1:
        raise ModelError(f"the share of moving transitions must be above 0 and at most 1, not {share}")
    if not layout.objects:
        raise ModelError("a share of moving transitions needs objects that move; there are none here")
    moves = moved(data.obs, data.next_obs)
    rows = torch.stack([moves[:, list(body.positions)].any(dim=1) for body in layout.objects]).float()
    each = (rows / rows.sum(dim=1, keepdim=True).clamp(min=1)).sum(dim=0) * len(data) / len(layout.objects)
    return ((1 - share) + share * each).clamp(max=MOST)


def check_weights(weights: Tensor, rows: int) -> None:
    """See that rows can be drawn by weights.

    Raises:
        ModelError: not one finite weight for each row, or nothing to draw.
    """
    if tuple(weights.shape) != (rows,):
        raise ModelError(f"weights have shape {tuple(weights.shape)}, expected ({rows},): one per transition")
    if not bool(weights.isfinite().all()) or float(weights.min()) < 0 or float(weights.sum()) <= 0:
        raise ModelError("weights of transitions must be finite, none below zero and not all zero")
