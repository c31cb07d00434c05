"""Labels from examples of success alone: what the examples agree on, and the pool does not, is the goal.

Fu et al. (2018), "Variational Inverse Control with Events", and Eysenbach et al. (2021), "Replacing Rewards with
Examples", train networks to tell examples from other states, and to lead there. Here intervals of a few quantities
tell them apart, chosen one after the other (PRIM, Friedman and Fisher 1999) by how unlikely it is that independent
states of the pool lie so close together (Wilks 1941). The way to an object leads through its handle, which the layout
knows. A value learned from the pool (expectile regression of temporal distance) led to fewer successes.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mbtransfer.model import LABELS, Model
from world_models.errors import ModelError
from world_models.layout import Layout
from world_models.rewards.boxes import SIDES
from world_models.rewards.fitting import RELUCTANT, SEEN
from world_models.rewards.head import Labels
from world_models.rewards.quantities import Quantities
from world_models.transitions import Transitions

CHANCE = 1e-3
"""Probability below which examples that lie so close together do not do so by chance."""

ALIKE = 0.05
"""Share of the pool's range by which two examples must differ in two quantities at least to count as two."""

NARROWEST = 0.02
"""Half the width of the narrowest interval, as a share of the pool's range."""

OPEN, SLOPE = 2.0, 3.0
"""Cost of an object that is not where it should be, and of a gap as wide as the pool's range, as in `tasks.task.Move`;
a metre to its handle costs 1. A higher cost would hide the rest of the reward from the head that is fitted to it."""

LATER = 0.3
"""Factor from each object to the next, so that the hand goes to one handle and not between them. Less than
`OPEN / (OPEN + SLOPE + 1.5)`, so that it is never worth while to undo one object for the next."""


def labels_from_successes(
    model: Model, examples: Float[Tensor, "E O"], count: int = LABELS, seed: int = 0
) -> Labels:
    """Label transitions of the pool by examples of success.

    The examples should differ in whatever does not matter. Where they do not, because they are consecutive or because
    all else is at rest, they count as one, which tells a single quantity: the one in which it is rarest, rather of an
    object than of the hand. A goal is about objects, or about the hand's place, never about both: demonstrations end
    with the hand at the thing that it has moved.

    Args:
        model: its pool and its layout are used, and nothing else.
        examples: observations in which the task is fulfilled; 20 from different episodes are enough.
        count: how many transitions to label, or all of the pool if it has fewer; the examples come on top where the
            pool has few successes.
        seed: draws the transitions.

    Raises:
        ModelError: no examples, or observations of another world, or with values that are not finite.
    """
    layout, pool = model.dynamics.layout, model.pool
    if examples.shape[1] != layout.obs_size or not len(examples):
        raise ModelError(
            f"examples of success are {tuple(examples.shape)}; give at least one row of {layout.obs_size} columns"
        )
    if not bool(examples.isfinite().all()):
        row = int((~examples.isfinite()).nonzero()[0, 0])
        raise ModelError(f"example {row} of success holds a value that is not finite")
    examples = examples.to(pool.obs)
    reached = _states(layout, pool.next_obs)
    goal = find_goal(layout, reached, _states(layout, examples))
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(pool), generator=generator)[:count].to(model.device)
    some = pool[rows]
    if int(goal.success(reached[rows]).sum()) < SEEN:
        others = torch.randint(len(pool), (len(examples),), generator=generator).to(model.device)
        some = Transitions.join([some, Transitions(examples, pool.actions[others], examples)])
    x = _states(layout, some.next_obs)
    return Labels(some.obs, some.actions, some.next_obs, goal.reward(x), goal.success(x))


@dataclass(frozen=True, eq=False)
class Goal:
    """Intervals of S quantities of P objects, which are pursued one after the other, or of the hand's place.

    Attributes:
        quantity: which quantities.
        low, high: where success begins and ends: where the examples do.
        middle: the examples' median.
        unit: the pool's range.
        part: the object that each interval is of, by number; 0 for the hand and where there are no objects.
        handle: the quantity that is the distance to each object's handle; -1 alone for the hand.
    """

    quantity: Int[Tensor, " S"]
    low: Float[Tensor, " S"]
    high: Float[Tensor, " S"]
    middle: Float[Tensor, " S"]
    unit: Float[Tensor, " S"]
    part: Int[Tensor, " S"]
    handle: tuple[int, ...]

    def success(self, x: Float[Tensor, "N C"]) -> Bool[Tensor, " N"]:
        """Whether each state is in every interval."""
        return self._inside(x).all(dim=1)

    def reward(self, x: Float[Tensor, "N C"]) -> Float[Tensor, " N"]:
        """Minus a cost of each object that is not yet done, its gap and the way to its handle (m), the first most.

        For the hand, minus the gap to the middle of each interval.
        """
        gaps = (x[:, self.quantity] - self.middle).abs() / self.unit
        inside = self._inside(x)
        total = x.new_zeros(len(x))
        for p, handle in enumerate(self.handle):
            sides = self.part == p
            way = gaps[:, sides].sum(dim=1)
            if handle >= 0:
                is_open = ~inside[:, sides].all(dim=1)
                way = LATER**p * is_open * (OPEN + SLOPE * way + x[:, handle])
            total -= way
        return total

    def _inside(self, x: Float[Tensor, "N C"]) -> Bool[Tensor, "N S"]:
        return _within(x[:, self.quantity], self.low, self.high)


def find_goal(layout: Layout, pool: Float[Tensor, "N C"], examples: Float[Tensor, "E C"]) -> Goal:
    """Choose quantities on which the examples agree, each among the states of the pool that agree on those before.

    That a light is on often goes with a tap that was moved: among the states with the light on, the tap is as the
    examples have it, and is not chosen.

    Args:
        layout: what the quantities belong to.
        pool: the candidate quantities (positions as shares of their ranges, distances to handles) of the pool's states.
        examples: those of the examples.
    """
    unit = (pool.quantile(0.99, dim=0) - pool.quantile(0.01, dim=0)).clamp(min=ALIKE)
    middle, least = examples.median(dim=0).values, NARROWEST * unit
    low = examples.amin(dim=0).minimum(middle - least)
    high = examples.amax(dim=0).maximum(middle + least)
    at_hand = torch.tensor([_owner(layout, q) < 0 for q in range(pool.shape[1])], device=pool.device)
    at_hand &= bool(layout.objects)
    independent = max(2, _distinct((examples / unit)[:, ~at_hand]))
    prior = torch.where(at_hand, RELUCTANT, 1.0)
    left, chosen = pool, list[int]()
    while len(chosen) < SIDES:
        inside = _within(left, low, high)
        share = (inside.sum(dim=0).double() + 1) / (len(left) + 1)
        gain = -_log_chance(share, independent) * prior
        best = int(gain.argmax())
        if chosen and gain[best] < -math.log(CHANCE):
            break
        if not chosen:
            prior = (at_hand == at_hand[best]).double()
        prior[best] = 0.0
        chosen.append(best)
        left = left[inside[:, best]]
    return _goal(layout, chosen, low, high, middle, unit)


def _goal(layout: Layout, chosen: list[int], low: Tensor, high: Tensor, middle: Tensor, unit: Tensor) -> Goal:
    """The chosen intervals, grouped by what they belong to."""
    owners = [_owner(layout, q) for q in chosen]
    parts = list(dict.fromkeys(owners))
    first = Quantities.of(layout).distances.start
    at = torch.tensor(chosen, device=low.device)
    return Goal(
        at, low[at], high[at], middle[at], unit[at],
        torch.tensor([parts.index(owner) for owner in owners], device=low.device),
        tuple(first + owner if owner >= 0 else -1 for owner in parts),
    )  # fmt: skip


def _owner(layout: Layout, quantity: int) -> int:
    """The object whose position a quantity is; -1 for the hand's and all others."""
    name = Quantities.of(layout).names[quantity]
    for k, body in enumerate(layout.objects):
        if name in [layout.columns[i] for i in body.positions]:
            return k
    return -1


def _states(layout: Layout, obs: Float[Tensor, "N O"]) -> Float[Tensor, "N C"]:
    """The candidate quantities of states: shares and distances."""
    quantities = Quantities.of(layout, obs.device)
    return quantities.rows_of_states(obs.T, simple=True)[: quantities.distances.stop].T


def _within(
    x: Float[Tensor, "N C"], low: Float[Tensor, " C"], high: Float[Tensor, " C"]
) -> Bool[Tensor, "N C"]:
    return (x >= low) & (x <= high)


def _log_chance(share: Tensor, n: int) -> Tensor:
    """Log probability that the range of n independent draws holds no more than that share of what is drawn from.

    The share is distributed as Beta(n - 1, 2), whatever the distribution (Wilks 1941).
    """
    return (n - 1) * share.log() + (n - (n - 1) * share).log()


def _distinct(x: Float[Tensor, "E C"]) -> int:
    """How many of the examples differ from each other by `ALIKE` in two quantities or more."""
    kept = x[:0]
    for row in x:
        if bool((((kept - row).abs() >= ALIKE).sum(dim=1) >= 2).all()):
            kept = torch.cat([kept, row[None]])
    return len(kept)
