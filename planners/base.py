"""What every planner sees, settles and returns."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from planners.errors import PlannerError

Objective = Callable[[Float[Tensor, "B N H A"]], Float[Tensor, "B N"]]
"""Returns of N candidate plans in each of B episodes: all that a planner ever knows of the world."""


@dataclass(frozen=True)
class Bounds:
    """Lowest and highest action, per column."""

    low: Float[Tensor, " A"]
    high: Float[Tensor, " A"]

    @property
    def middle(self) -> Float[Tensor, " A"]:
        """Centre of the box."""
        return (self.low + self.high) / 2

    @property
    def half(self) -> Float[Tensor, " A"]:
        """Half the width of the box."""
        return (self.high - self.low) / 2

    def clamp(self, actions: Float[Tensor, "*b A"]) -> Float[Tensor, "*b A"]:
        """The nearest allowed actions."""
        return torch.maximum(torch.minimum(actions, self.high), self.low)


@dataclass(frozen=True)
class Plan:
    """What a planner decided for each of B episodes.

    Attributes:
        actions: the plan, first action first.
        std: how far the last search still varied each action.
        best_return: the highest return that a candidate was promised.
        n_nonfinite: candidates whose return was not a number; they never win.
    """

    actions: Float[Tensor, "B H A"]
    std: Float[Tensor, "B H A"]
    best_return: Float[Tensor, " B"]
    n_nonfinite: int

    def shifted(self, steps: int = 1) -> Float[Tensor, "B H A"]:
        """The plan as seen `steps` later; its last action is held."""
        held = self.actions[:, -1:].expand(-1, steps, -1)
        return torch.cat([self.actions[:, steps:], held], dim=1)


@runtime_checkable
class Planner(Protocol):
    """Searches for the plan with the highest return."""

    horizon: int

    def plan(self, objective: Objective, start: Float[Tensor, "B H A"], generator: torch.Generator) -> Plan:
        """Improve the plan `start` (the middle of the box, or the last plan shifted).

        Raises:
            PlannerError: every candidate of an episode has a return that is not finite.
        """
        ...


def scored(objective: Objective, candidates: Float[Tensor, "B N H A"]) -> tuple[Float[Tensor, "B N"], int]:
    """Returns with every non-finite one at minus infinity, and how many there were.

    Raises:
        PlannerError: no candidate of some episode has a finite return.
    """
    returns = objective(candidates)
    finite = torch.isfinite(returns)
    bad = int(returns.numel() - finite.sum())
    if bad == 0:
        return returns, 0
    if not bool(finite.any(dim=1).all()):
        raise PlannerError(
            "every candidate plan has a non-finite return; check the model, the reward and the data"
        )
    return returns.masked_fill(~finite, -torch.inf), bad


def pick(candidates: Float[Tensor, "B N H A"], index: Int[Tensor, "B K"]) -> Float[Tensor, "B K H A"]:
    """The candidates at `index`, episode by episode."""
    rows = torch.arange(candidates.shape[0], device=candidates.device)[:, None]
    return candidates[rows, index]


def best_of(
    candidates: Float[Tensor, "B N H A"], returns: Float[Tensor, "B N"], n: int
) -> tuple[Float[Tensor, "B K H A"], Float[Tensor, "B K"]]:
    """The K = n candidates with the highest returns, best first, and their returns.

    Where fewer have a finite return, the best one stands in for each of the others.
    """
    top = returns.topk(n, dim=1)
    lost = top.values == -torch.inf
    index = torch.where(lost, top.indices[:, :1], top.indices)
    return pick(candidates, index), torch.where(lost, top.values[:, :1], top.values)
