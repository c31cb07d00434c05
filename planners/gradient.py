"""Planning by gradient: many plans climb the objective at once, the best seen wins.

Henaff et al. (2017), "Model-based planning with discrete and continuous actions"; restarts against local optima
as in Bharadhwaj et al. (2020), "Model-predictive control via cross-entropy and gradient-based optimization".
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from planners.ascent import climb
from planners.base import Bounds, Objective, Plan
from planners.candidates import join
from planners.decision import Decision
from planners.sampling import Sampler, SamplingConfig


@dataclass(frozen=True)
class GradientConfig(SamplingConfig):
    """Settings of planning by gradient."""

    candidates: int = 16
    """Plans that climb, the start plan among them."""
    iterations: int = 10
    """Times they are scored; between two of them each goes a step uphill."""
    rate: float = 0.3
    """First step, as a share of half the action range; it falls linearly to nothing."""


class Gradient:
    """Adam on many candidate plans; needs an objective that torch can differentiate."""

    def __init__(self, config: GradientConfig, bounds: Bounds) -> None:
        self.config, self.bounds, self.horizon = config, bounds, config.horizon
        self._sampler = Sampler(config, bounds)

    @torch.no_grad()
    def plan(
        self,
        objective: Objective,
        start: Float[Tensor, "B H A"],
        generator: torch.Generator,
        *,
        proposals: Float[Tensor, "B M H A"] | None = None,
        deadline: float | None = None,
    ) -> Plan:
        """See `Planner.plan`; the start plan, the proposals and plans around the middle of the box climb.

        Raises:
            PlannerError: as every planner, or the objective is not differentiable.
        """
        config, bounds = self.config, self.bounds
        decision = Decision(objective, start, deadline)
        drawn = self._sampler.around_middle(len(start), config.candidates - 1, generator)
        plans = join(start[:, None], drawn, None if proposals is None else bounds.clamp(proposals))
        climb(decision, plans, bounds, config.iterations, config.rate)
        return decision.settle_on_best(torch.zeros_like(start))
