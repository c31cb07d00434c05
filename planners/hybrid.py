"""Sample first, then refine: CEM finds the basin, the gradient its bottom.

Bharadhwaj, Xie and Shkurti (2020), "Model-predictive control via cross-entropy and gradient-based optimization".
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from planners.ascent import climb
from planners.base import Bounds, Objective, Plan
from planners.candidates import join
from planners.cem import CEM, CEMConfig
from planners.decision import Decision


@dataclass(frozen=True)
class HybridConfig(CEMConfig):
    """Settings of sampling first and refining then."""

    refined: int = 4
    """Elites that are refined, besides the mean."""
    refinements: int = 5
    """Times they are scored; between two of them each goes a step uphill."""
    rate: float = 0.05
    """First step, as a share of half the action range; it falls linearly to nothing."""


class Hybrid:
    """Batched CEM whose mean and elites then climb; returns the best plan seen, refined or not."""

    def __init__(self, config: HybridConfig, bounds: Bounds) -> None:
        self.config, self.bounds, self.horizon = config, bounds, config.horizon
        self._cem = CEM(config, bounds)

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
        """See `Planner.plan`; the start plan and the proposals are in every iteration of the sampling.

        Raises:
            PlannerError: as every planner, or the objective is not differentiable.
        """
        config, decision = self.config, Decision(objective, start, deadline)
        mean, std, elites = self._cem.search(decision, start, generator, join(start[:, None], proposals))
        plans = join(mean[:, None], elites[:, : config.refined])
        climb(decision, plans, self.bounds, config.refinements, config.rate)
        return decision.settle_on_best(std, elites)
