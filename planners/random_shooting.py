"""Random shooting: draw plans, take the best. The baseline that every planner must beat.

Nagabandi et al. (2018), "Neural network dynamics for model-based deep RL", section IV-B.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from planners.base import Bounds, Objective, Plan
from planners.candidates import best_of, join
from planners.decision import Decision
from planners.sampling import Sampler, SamplingConfig


@dataclass(frozen=True)
class RandomShootingConfig(SamplingConfig):
    """Settings of random shooting."""

    candidates: int = 192
    """Plans scored, the start plan among them."""


class RandomShooting:
    """Draws plans around the middle of the box and returns the best one."""

    def __init__(self, config: RandomShootingConfig, bounds: Bounds) -> None:
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
        """See `Planner.plan`; the start plan itself is one of the candidates, and there is one iteration."""
        bounds, decision = self.bounds, Decision(objective, start, deadline)
        drawn = self._sampler.around_middle(len(start), self.config.candidates - 1, generator)
        candidates = join(start[:, None], drawn, None if proposals is None else bounds.clamp(proposals))
        for _ in decision.rounds(1):
            best, value = best_of(candidates, decision.score(candidates), 1)
            decision.consider(best[:, 0], value[:, 0])
        return decision.settle_on_best(torch.zeros_like(start))
