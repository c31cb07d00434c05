"""The cross-entropy method: refit a Gaussian over plans to its elites.

Rubinstein (1999); as a planner over learned models, Chua et al. (2018), PETS, section 5.
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
class CEMConfig(SamplingConfig):
    """Settings of the cross-entropy method."""

    iterations: int = 3
    """Times the Gaussian is refitted."""
    elites: int = 8
    """Best plans to which it is refitted."""
    momentum: float = 0.1
    """Share of the old mean and spread that an iteration keeps."""


Fit = tuple[Float[Tensor, "B H A"], Float[Tensor, "B H A"], Float[Tensor, "B K H A"]]
"""Mean and spread of the Gaussian, and the elites that it was fitted to last."""


class CEM:
    """Batched cross-entropy method."""

    def __init__(self, config: CEMConfig, bounds: Bounds) -> None:
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
        """See `Planner.plan`; returns the last mean. Proposals are in every iteration: no elite is kept."""
        decision = Decision(objective, start, deadline)
        return decision.settle(*self.search(decision, start, generator, proposals))

    def search(
        self,
        decision: Decision,
        start: Float[Tensor, "B H A"],
        generator: torch.Generator,
        proposals: Float[Tensor, "B M H A"] | None,
    ) -> Fit:
        """The iterations alone, as part of a larger decision; each one's best plan is considered."""
        config, bounds = self.config, self.bounds
        proposals = None if proposals is None else bounds.clamp(proposals)
        mean, std = start, (config.std * bounds.half).expand_as(start)
        elites = start[:, None]
        draws = self._sampler.draw(config.iterations, len(start), config.candidates, generator=generator)
        for i in decision.rounds(config.iterations):
            candidates = join(bounds.clamp(mean[:, None] + std[:, None] * draws[i]), proposals)
            elites, values = best_of(candidates, decision.score(candidates), config.elites)
            decision.consider(elites[:, 0], values[:, 0])
            mean = mean.lerp(elites.mean(dim=1), 1 - config.momentum)
            std = std.lerp(elites.std(dim=1), 1 - config.momentum)
        return mean, std, elites
