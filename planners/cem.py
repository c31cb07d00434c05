"""The cross-entropy method: refit a Gaussian over plans to its elites.

Rubinstein (1999); as a planner over learned models, Chua et al. (2018), PETS, section 5.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from planners.base import Bounds, Objective, Plan, best_of, scored
from planners.noise import coloured_noise


@dataclass(frozen=True)
class CEMConfig:
    """Settings of the cross-entropy method."""

    horizon: int = 12
    """Control steps that a plan looks ahead."""
    candidates: int = 64
    """Plans drawn in each iteration."""
    iterations: int = 3
    """Times the Gaussian is refitted."""
    elites: int = 8
    """Best plans to which it is refitted."""
    noise_beta: float = 2.0
    """Colour of the noise: 0 white (the textbook's), 2 a random walk."""
    std: float = 0.7
    """First spread, as a share of half the action range."""
    momentum: float = 0.1
    """Share of the old mean and spread that an iteration keeps."""


class CEM:
    """Batched cross-entropy method."""

    def __init__(self, config: CEMConfig, bounds: Bounds) -> None:
        self.config, self.bounds, self.horizon = config, bounds, config.horizon

    def plan(self, objective: Objective, start: Float[Tensor, "B H A"], generator: torch.Generator) -> Plan:
        """See `Planner.plan`; returns the last mean."""
        config, bad = self.config, 0
        mean, std = start, (self.config.std * self.bounds.half).expand_as(start)
        best = torch.full(start.shape[:1], -torch.inf, device=start.device)
        shape = (config.iterations, start.shape[0], config.candidates, *start.shape[1:])
        for noise in coloured_noise(shape, config.noise_beta, generator):
            candidates = self.bounds.clamp(mean[:, None] + std[:, None] * noise)
            returns, n = scored(objective, candidates)
            elites, values = best_of(candidates, returns, config.elites)
            mean = mean.lerp(elites.mean(dim=1), 1 - config.momentum)
            std = std.lerp(elites.std(dim=1), 1 - config.momentum)
            best, bad = torch.maximum(best, values[:, 0]), bad + n
        return Plan(mean, std, best, bad)
