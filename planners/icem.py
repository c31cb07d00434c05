"""iCEM: the cross-entropy method with coloured noise, kept elites and a shrinking population.

Pinneri et al. (2020), "Sample-efficient cross-entropy method for real-time planning", Algorithm 1.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from planners.base import Bounds, Objective, Plan
from planners.candidates import best_of, join
from planners.cem import CEMConfig
from planners.decision import Decision
from planners.sampling import Sampler


@dataclass(frozen=True)
class ICEMConfig(CEMConfig):
    """Settings of iCEM."""

    candidates: int = 80
    """Plans drawn in the first iteration."""
    keep: float = 0.3
    """Share of the elites that stays among the candidates of the next iteration."""
    shrink: float = 1.25
    """Factor by which the population shrinks from one iteration to the next."""


class ICEM:
    """Batched iCEM; returns the best plan ever seen, not the mean."""

    def __init__(self, config: ICEMConfig, bounds: Bounds) -> None:
        self.config, self.bounds, self.horizon = config, bounds, config.horizon
        self._sampler = Sampler(config, bounds)
        sizes = (round(config.candidates * config.shrink**-i) for i in range(config.iterations))
        self._sizes = [max(2 * config.elites, size) for size in sizes]

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
        """See `Planner.plan`; the start plan is kept like an elite, the last mean is a candidate.

        Proposals are in the first iteration, and stay as long as they are among the best. The elites of the plan
        are those that another iteration would have kept: shifted, they are meant to be proposed again.
        """
        config, bounds = self.config, self.bounds
        mean, std = start, (config.std * bounds.half).expand_as(start)
        kept = join(start[:, None], None if proposals is None else bounds.clamp(proposals))
        draws = self._sampler.draw(len(start), sum(self._sizes), generator=generator)
        decision = Decision(objective, start, deadline)
        noises = draws.split(self._sizes, dim=1)
        for i in decision.rounds(config.iterations):
            drawn = bounds.clamp(mean[:, None] + std[:, None] * noises[i])
            last = mean[:, None] if i == config.iterations - 1 else None
            candidates = join(drawn, kept, last)
            elites, values = best_of(candidates, decision.score(candidates), config.elites)
            decision.consider(elites[:, 0], values[:, 0])
            kept = elites[:, : max(1, round(config.keep * config.elites))]
            mean = mean.lerp(elites.mean(dim=1), 1 - config.momentum)
            std = std.lerp(elites.std(dim=1), 1 - config.momentum)
        return decision.settle_on_best(std, kept)
