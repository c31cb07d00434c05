"""iCEM: the cross-entropy method with coloured noise, kept elites and a shrinking population.

Pinneri et al. (2020), "Sample-efficient cross-entropy method for real-time planning", Algorithm 1.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from planners.base import Bounds, Objective, Plan, best_of, scored
from planners.noise import coloured_noise


@dataclass(frozen=True)
class ICEMConfig:
    """Settings of iCEM."""

    horizon: int = 12
    """Control steps that a plan looks ahead."""
    candidates: int = 80
    """Plans drawn in the first iteration."""
    iterations: int = 3
    """Times the Gaussian is refitted."""
    elites: int = 8
    """Best plans to which it is refitted."""
    keep: float = 0.3
    """Share of the elites that stays among the candidates of the next iteration."""
    shrink: float = 1.25
    """Factor by which the population shrinks from one iteration to the next."""
    noise_beta: float = 2.0
    """Colour of the noise: 0 white, 2 a random walk."""
    std: float = 0.7
    """First spread, as a share of half the action range."""
    momentum: float = 0.1
    """Share of the old mean and spread that an iteration keeps."""


class ICEM:
    """Batched iCEM; returns the best plan ever seen, not the mean."""

    def __init__(self, config: ICEMConfig, bounds: Bounds) -> None:
        self.config, self.bounds, self.horizon = config, bounds, config.horizon

    def plan(self, objective: Objective, start: Float[Tensor, "B H A"], generator: torch.Generator) -> Plan:
        """See `Planner.plan`; the start plan is kept like an elite, the last mean is a candidate."""
        config, bad = self.config, 0
        mean, std = start, (config.std * self.bounds.half).expand_as(start)
        kept = start[:, None]
        best_return = torch.full(start.shape[:1], -torch.inf, device=start.device)
        best = start
        for i in range(config.iterations):
            n = max(2 * config.elites, round(config.candidates * config.shrink**-i))
            noise = coloured_noise((start.shape[0], n, *start.shape[1:]), config.noise_beta, generator)
            drawn = self.bounds.clamp(mean[:, None] + std[:, None] * noise)
            last = [mean[:, None]] if i == config.iterations - 1 else []
            candidates = torch.cat([drawn, kept, *last], dim=1)
            returns, count = scored(objective, candidates)
            elites, values = best_of(candidates, returns, config.elites)
            kept = elites[:, : max(1, round(config.keep * config.elites))]
            mean = mean.lerp(elites.mean(dim=1), 1 - config.momentum)
            std = std.lerp(elites.std(dim=1), 1 - config.momentum)
            better = values[:, 0] > best_return
            best = torch.where(better[:, None, None], elites[:, 0], best)
            best_return, bad = torch.maximum(best_return, values[:, 0]), bad + count
        return Plan(best, std, best_return, bad)
