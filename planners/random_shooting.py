"""Random shooting: draw plans, take the best. The baseline that every planner must beat.

Nagabandi et al. (2018), "Neural network dynamics for model-based deep RL", section IV-B.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from planners.base import Bounds, Objective, Plan, pick, scored
from planners.noise import coloured_noise


@dataclass(frozen=True)
class RandomShootingConfig:
    """Settings of random shooting."""

    horizon: int = 12
    """Control steps that a plan looks ahead."""
    candidates: int = 192
    """Plans drawn."""
    noise_beta: float = 2.0
    """Colour of the noise: 0 white, 2 a random walk."""
    std: float = 0.7
    """Spread of the noise, as a share of half the action range."""


class RandomShooting:
    """Draws plans around the start plan's middle and returns the best one."""

    def __init__(self, config: RandomShootingConfig, bounds: Bounds) -> None:
        self.config, self.bounds, self.horizon = config, bounds, config.horizon

    def plan(self, objective: Objective, start: Float[Tensor, "B H A"], generator: torch.Generator) -> Plan:
        """See `Planner.plan`; the start plan itself is one of the candidates."""
        batch, steps, size = start.shape
        shape = (batch, self.config.candidates - 1, steps, size)
        noise = coloured_noise(shape, self.config.noise_beta, generator) * self.config.std
        drawn = self.bounds.clamp(self.bounds.middle + self.bounds.half * noise)
        candidates = torch.cat([start[:, None], drawn], dim=1)
        returns, bad = scored(objective, candidates)
        best, index = returns.max(dim=1)
        actions = pick(candidates, index[:, None])[:, 0]
        return Plan(actions, torch.zeros_like(actions), best, bad)
