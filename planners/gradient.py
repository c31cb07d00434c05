"""Gradient planner, and the hybrid of CEM and gradient.

Henaff et al. (2017), "Model-based planning with discrete and continuous actions"; restarts against local optima
as in Bharadhwaj et al. (2020), "Model-predictive control via cross-entropy and gradient-based optimization".

Adam: Kingma and Ba (2015), projected onto the action box after each step. Hybrid: Bharadhwaj, Xie and Shkurti (2020),
"Model-predictive control via cross-entropy and gradient-based optimization".
"""

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge
from jaxtyping import Float
from torch import Tensor

from planners.base import Bounds, Plan
from planners.cem import CEM, CEMConfig
from planners.errors import PlannerError
from planners.sampling import Count, Positive, SamplingConfig, SamplingPlanner, SamplingState
from planners.search import SearchState, best_of, join


@dataclass(frozen=True)
class GradientConfig(SamplingConfig):
    """Settings of planning by gradient."""

    candidates: Count = 16
    """Plans that climb, the start plan among them."""
    iterations: Count = 10
    """Times they are scored; between two of them each goes a step uphill."""
    rate: Positive = 0.3
    """First step, as a share of half the action range; it falls linearly to nothing."""


class Gradient(SamplingPlanner):
    """Adam on many plans: the start plan, the proposals and plans around the middle of the box. Returns the best seen.

    Its `plan` raises a PlannerError where torch cannot differentiate the objective.
    """

    config_type = GradientConfig

    def initial(
        self,
        start: Float[Tensor, "B H A"],
        proposals: Float[Tensor, "B M H A"] | None,
        generator: torch.Generator,
    ) -> SamplingState:
        """See `SamplingPlanner.initial`."""
        drawn = self.sampler.around_middle(len(start), self.config.candidates - 1, generator)
        return SamplingState(start, torch.zeros_like(start), (), join(start[:, None], drawn, proposals))

    def search(self, search: SearchState, state: SamplingState) -> SamplingState:
        """Gradient ascent instead of sampling."""
        gradient_ascent(search, join(state.kept), self.bounds, self.iterations, self.config.rate)
        return state

    def update(
        self, state: SamplingState, candidates: Float[Tensor, "B N H A"], returns: Float[Tensor, "B N"]
    ) -> SamplingState:
        """Nothing: there is no distribution."""
        return state

    def result(self, search: SearchState, state: SamplingState) -> Plan:
        """The best plan seen."""
        return search.settle_on_best(state.std)


_DECAY, _SQUARE_DECAY = 0.5, 0.9
"""Shorter memories than Adam usually has: a plan climbs for ten steps, not for ten thousand."""
_TINY = 1e-12
"""Keeps the division finite; so small that rewards of any usual scale give the same steps."""


def gradient_ascent(
    decision: SearchState, plans: Float[Tensor, "B N H A"], bounds: Bounds, iterations: int, rate: float
) -> None:
    """Score the plans `iterations` times and step uphill in between; the decision considers all that is seen.

    Args:
        decision: what scores them.
        plans: where the ascents begin.
        bounds: the box that they stay in.
        iterations: how often they are scored, before and after each step.
        rate: first step, as a share of half the action range; it falls linearly to nothing.

    Raises:
        PlannerError: the objective is not differentiable.
    """
    momentum = square = torch.zeros_like(plans)
    for i in decision.rounds(iterations):
        with torch.enable_grad():
            leaf = plans.detach().requires_grad_()
            returns = decision.score(leaf)
        best, value = best_of(plans, returns.detach(), 1)
        decision.consider(best[:, 0], value[:, 0])
        slope = _slope(returns, leaf)
        momentum = momentum.lerp(slope, 1 - _DECAY)
        square = square.lerp(slope**2, 1 - _SQUARE_DECAY)
        scale = (square / (1 - _SQUARE_DECAY ** (i + 1))).sqrt() + _TINY
        step = momentum / (1 - _DECAY ** (i + 1)) / scale
        plans = bounds.clamp(plans + rate * (1 - i / iterations) * bounds.half * step)


def _slope(returns: Float[Tensor, "B N"], plans: Float[Tensor, "B N H A"]) -> Float[Tensor, "B N H A"]:
    """How each plan's return grows with its actions; nothing where that is not finite.

    Candidates are scored apart, so the gradient of the sum is that of each.
    """
    slope = None
    if returns.requires_grad:
        (slope,) = torch.autograd.grad(returns, plans, torch.ones_like(returns), allow_unused=True)
    if slope is None:
        raise PlannerError(
            "this planner needs a differentiable objective, such as a learned model; the simulator is none"
        )
    return slope.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)


@dataclass(frozen=True)
class HybridConfig(CEMConfig):
    """Settings of sampling first and refining then."""

    candidates: Count = 64
    """Plans drawn in each iteration."""
    elites: Annotated[int, Ge(2)] = 8
    """Best plans to which the Gaussian is refitted."""
    refined: Count = 4
    """Elites that are refined, besides the mean."""
    refinements: Count = 5
    """Times they are scored; between two of them each goes a step uphill."""
    rate: Positive = 0.05
    """First step, as a share of half the action range; it falls linearly to nothing."""


class Hybrid(CEM):
    """Batched CEM whose mean and elites are then refined by gradient ascent; returns the best plan seen.

    The start plan and the proposals are candidates in every iteration of the sampling. Its `plan` raises a PlannerError
    where torch cannot differentiate the objective.
    """

    config_type = HybridConfig

    def initial(
        self,
        start: Float[Tensor, "B H A"],
        proposals: Float[Tensor, "B M H A"] | None,
        generator: torch.Generator,
    ) -> SamplingState:
        """See `SamplingPlanner.initial`."""
        return super().initial(start, join(self.bounds.clamp(start)[:, None], proposals), generator)

    def result(self, search: SearchState, state: SamplingState) -> Plan:
        """The best plan seen, refined or not."""
        refined = None if state.elites is None else state.elites[:, : self.config.refined]
        plans = join(state.mean[:, None], refined)
        gradient_ascent(search, plans, self.bounds, self.config.refinements, self.config.rate)
        return search.settle_on_best(state.std, state.elites)
