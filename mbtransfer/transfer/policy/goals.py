"""Goals: which quantities of an environment shall be where.

A goal is a row of 2 Q numbers for the Q positions that tasks move, the hand's and those of the objects: Q zeros and
ones that say which positions it is about, and Q places, as shares of their ranges (Andrychowicz et al. 2017,
"Hindsight experience replay", section 3: goals are states with some properties, of which a function tells whether a
state has them). Positions that are always wanted together, as the hand's along x, y and z, are one group.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from world_models.layout import Layout
from world_models.rewards.head import Labels

TOLERANCE = 0.1
"""A goal is reached within this share of the ranges, as tasks of moving something are."""

FEW = 5
"""So many labels with success say where a target wants things to be; with fewer, the best labels by reward do."""

BEST = 0.01
"""Share of the labels that are the best ones."""


@dataclass(frozen=True, eq=False)
class GoalSpace:
    """What goals may be about.

    Attributes:
        columns: the columns of the Q positions.
        low: lowest place of each.
        span: length of the range of each.
        groups: a row for each group, one where a position is in it.
        vectors: columns of the vector from the hand to each group's object; -1 for the hand.
    """

    columns: Int[Tensor, " Q"]
    low: Float[Tensor, " Q"]
    span: Float[Tensor, " Q"]
    groups: Float[Tensor, "G Q"]
    vectors: Int[Tensor, "G 3"]

    @classmethod
    def of(cls, layout: Layout, device: torch.device | str = "cpu") -> "GoalSpace":
        """The hand as one group, and each position of each object as one."""
        groups, vectors = list[tuple[int, ...]](), list[tuple[int, ...]]()
        if layout.hand is not None and layout.hand.positions:
            groups.append(layout.hand.positions)
            vectors.append((-1, -1, -1))
        for body in layout.objects:
            for column in body.positions:
                groups.append((column,))
                vectors.append(body.vector)
        columns = [column for group in groups for column in group]
        low, high = (torch.tensor([ends[c] for c in columns]) for ends in (layout.low, layout.high))
        within = torch.tensor([[float(column in group) for column in columns] for group in groups])
        parts = torch.tensor(columns), low, high - low, within, torch.tensor(vectors)
        return cls(*(part.to(device) for part in parts))

    @property
    def size(self) -> int:
        """Q, the number of positions."""
        return len(self.columns)

    def places(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b Q"]:
        """Where everything is, as shares of the ranges."""
        return (obs[..., self.columns] - self.low) / self.span

    def gap(self, obs: Float[Tensor, "*b O"], goal: Float[Tensor, "*#b Y"]) -> Float[Tensor, "*b"]:
        """Distance from the goal, of 2 Q columns: the root of the sum of squares over the positions it is about."""
        wanted, place = goal.chunk(2, dim=-1)
        return ((wanted * (self.places(obs) - place)).square().sum(dim=-1) + 1e-8).sqrt()

    def reached(self, obs: Float[Tensor, "*b O"], goal: Float[Tensor, "*#b Y"]) -> Bool[Tensor, "*b"]:
        """Whether the gap is at most `TOLERANCE`."""
        return self.gap(obs, goal) <= TOLERANCE

    def way(self, obs: Float[Tensor, "*b O"], goal: Float[Tensor, "*#b Y"]) -> Float[Tensor, "*b"]:
        """Mean distance (m) from the hand to the objects that the goal is about; zero if it is about none."""
        wanted, _ = goal.chunk(2, dim=-1)
        things = (self.vectors >= 0).all(dim=1)
        if not bool(things.any()):
            return obs.new_zeros(obs.shape[:-1])
        asked = (wanted @ self.groups[things].mT > 0).to(obs)
        far = (obs[..., self.vectors[things]].square().sum(dim=-1) + 1e-8).sqrt()
        return (asked * far).sum(dim=-1) / asked.sum(dim=-1).clamp(min=1.0)

    def towards(self, obs: Float[Tensor, "*b O"], chosen: Float[Tensor, "*b G"]) -> Float[Tensor, "*b Y"]:
        """Goals that some states have reached, about the chosen groups (zeros and ones)."""
        wanted = (chosen @ self.groups).clamp(max=1.0)
        return torch.cat([wanted, wanted * self.places(obs)], dim=-1)

    def goal_of(self, labels: Labels, most: bool = False) -> Float[Tensor, " Y"]:
        """What a task wants, by its labelled transitions alone; with `most`, of one group only.

        The best labels are those with success; if they are fewer than `FEW`, those with the highest reward. A goal is
        about the groups of which the best labels say the most, against all labels: those with at least half the
        highest relative entropy, as if places had normal distributions,

            sum over the group of  log(s / s_best) + (s_best^2 + (m_best - m)^2) / (2 s^2) - 1/2

        Its places are the means of the best labels.
        """
        places = self.places(labels.next_obs)
        best = places[labels.success.bool()]
        if len(best) < FEW:
            count = min(len(places), max(FEW, round(BEST * len(places))))
            best = places[labels.reward.topk(count).indices]
        centre, scale = places.mean(dim=0), places.std(dim=0).clamp(min=1e-3)
        to, width = best.mean(dim=0), best.std(dim=0).clamp(min=1e-3)
        says = (scale / width).log() + (width.square() + (to - centre).square()) / (2 * scale.square()) - 0.5
        each = self.groups @ says
        wanted = ((each >= (1.0 if most else 0.5) * each.amax()).to(places) @ self.groups).clamp(max=1.0)
        return torch.cat([wanted, wanted * to])


def success_by_distance(
    gaps: Float[Tensor, " N"], reached: Bool[Tensor, " N"], parts: int = 10
) -> list[tuple[float, float, float]]:
    """Success against the distance of the goal: lowest and highest gap, and share reached, of each part of the goals.

    Parts are of equal size, nearest goals first: deciles, if there are ten.
    """
    order = gaps.argsort()
    return [
        (float(gaps[rows].min()), float(gaps[rows].max()), float(reached[rows].float().mean()))
        for rows in order.tensor_split(parts)
        if len(rows)
    ]
