"""The planner interface: objective, plan, settings and errors."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

Objective = Callable[[Float[Tensor, "B N H A"]], Float[Tensor, "B N"]]
"""Returns of N candidate plans in each of B episodes: all that a planner ever knows of the world."""


@dataclass(frozen=True)
class Bounds:
    """Lowest and highest action, per column."""

    low: Float[Tensor, " A"]
    high: Float[Tensor, " A"]

    @cached_property
    def middle(self) -> Float[Tensor, " A"]:
        """Centre of the box."""
        return (self.low + self.high) / 2

    @cached_property
    def half(self) -> Float[Tensor, " A"]:
        """Half the width of the box."""
        return (self.high - self.low) / 2

    def clamp(self, actions: Float[Tensor, "*b A"]) -> Float[Tensor, "*b A"]:
        """The nearest allowed actions."""
        return actions.clamp(self.low, self.high)


def shift(plans: Float[Tensor, "*b H A"], steps: int = 1) -> Float[Tensor, "*b H A"]:
    """Plans as seen `steps` later; the last action of each is held."""
    held = plans[..., -1:, :].expand_as(plans[..., :steps, :])
    return torch.cat([plans[..., steps:, :], held], dim=-2)


@dataclass(frozen=True)
class Plan:
    """What a planner decided for each of B episodes.

    Attributes:
        actions: the plan, first action first.
        std: how far the last search still varied each action.
        best_return: the highest return that a candidate was promised.
        n_nonfinite: candidates whose return was not a number; they never win.
        iterations: how often candidates were scored.
        cut: whether the deadline left no time for all iterations.
        elites: the best plans of the last iteration, best first, of planners that have elites;
            shifted, they are proposals for the next decision.
        mean: where the next search begins, if not at `actions`: the centre of the last distribution, of planners that
            settle on their best candidate.
    """

    actions: Float[Tensor, "B H A"]
    std: Float[Tensor, "B H A"]
    best_return: Float[Tensor, " B"]
    n_nonfinite: int
    iterations: int = 1
    cut: bool = False
    elites: Float[Tensor, "B K H A"] | None = None
    mean: Float[Tensor, "B H A"] | None = None

    def shifted(self, steps: int = 1) -> Float[Tensor, "B H A"]:
        """Where a search `steps` later begins; the last action is held."""
        return shift(self.actions if self.mean is None else self.mean, steps)

    def shifted_elites(self, steps: int = 1) -> Float[Tensor, "B K H A"] | None:
        """The elites as seen `steps` later, or None where there are none."""
        return None if self.elites is None else shift(self.elites, steps)


@runtime_checkable
class Planner(Protocol):
    """Searches for the plan with the highest return."""

    horizon: int

    def plan(
        self,
        objective: Objective,
        start: Float[Tensor, "B H A"],
        generator: torch.Generator,
        *,
        proposals: Float[Tensor, "B M H A"] | None = None,
        deadline: float | None = None,
    ) -> Plan:
        """Improve the plan `start` (the middle of the box, or the last plan shifted).

        Args:
            objective: what the search maximises. It scores each candidate by itself.
            start: where the search begins.
            generator: source of randomness, on the device of `start`.
            proposals: M plans of somebody else, such as a policy's roll-outs (Hansen et al. 2024, TD-MPC2) or
                the last decision's elites, shifted (iCEM). Clamped to the box and scored besides the candidates
                that the planner draws; each planner says in which iterations.
            deadline: the instant, by `time.perf_counter`, at which the plan is wanted. An iteration that would
                end later, were it as long as the longest so far of this decision, is not begun; one is
                always done. Without a deadline no clock is read and no device is waited for.

        Raises:
            PlannerError: every candidate of an episode has a return that is not finite, or the objective is
                not differentiable and has to be.
        """
        ...
