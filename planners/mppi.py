"""MPPI: the average of all plans, weighted by the exponential of their returns.

Williams et al. (2017), "Information theoretic MPC for model-based reinforcement learning", Algorithm 2.
The weighted mean does not chase the one candidate that the model is most wrong about.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from planners.base import Bounds, Objective, Plan, scored
from planners.noise import coloured_noise


@dataclass(frozen=True)
class MPPIConfig:
    """Settings of MPPI."""

    horizon: int = 10
    """Control steps that a plan looks ahead."""
    candidates: int = 48
    """Plans drawn in each iteration."""
    iterations: int = 2
    """Times the mean is moved."""
    temperature: float = 0.5
    """Returns this much below the best weigh 1/e of it."""
    noise_beta: float = 2.0
    """Colour of the noise: 0 white, 2 a random walk."""
    std: float = 1.0
    """First spread, as a share of half the action range."""
    min_std: float = 0.1
    """Spread below which the search never narrows."""


class MPPI:
    """Batched model-predictive path integral control with a spread that follows the weights."""

    def __init__(self, config: MPPIConfig, bounds: Bounds) -> None:
        self.config, self.bounds, self.horizon = config, bounds, config.horizon

    def plan(self, objective: Objective, start: Float[Tensor, "B H A"], generator: torch.Generator) -> Plan:
        """See `Planner.plan`; returns the last weighted mean."""
        config, bad = self.config, 0
        floor = config.min_std * self.bounds.half
        mean, std = start, (config.std * self.bounds.half).expand_as(start)
        best = torch.full(start.shape[:1], -torch.inf, device=start.device)
        shape = (config.iterations, start.shape[0], config.candidates, *start.shape[1:])
        for noise in coloured_noise(shape, config.noise_beta, generator):
            noise[:, 0] = 0.0
            candidates = self.bounds.clamp(mean[:, None] + std[:, None] * noise)
            returns, n = scored(objective, candidates)
            top = returns.max(dim=1).values
            weights = ((returns - top[:, None]) / config.temperature).softmax(dim=1)[..., None, None]
            mean = (weights * candidates).sum(dim=1)
            spread = (weights * (candidates - mean[:, None]) ** 2).sum(dim=1).sqrt()
            std, best, bad = torch.maximum(spread, floor), torch.maximum(best, top), bad + n
        return Plan(mean, std, best, bad)
