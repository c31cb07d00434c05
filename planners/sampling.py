"""What the planners that draw candidates have in common: their settings, and the noise they draw."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from planners.base import Bounds
from planners.noise import autocovariance, coloured_noise
from planners.spline import spline


@dataclass(frozen=True)
class SamplingConfig:
    """Settings of every planner that draws candidates."""

    horizon: int = 12
    """Control steps that a plan looks ahead."""
    candidates: int = 64
    """Plans drawn in each iteration."""
    noise_beta: float = 2.0
    """Colour of the noise: 0 white, 2 a random walk."""
    std: float = 0.7
    """First spread, as a share of half the action range."""
    knots: int = 0
    """Spline knots at which the noise is drawn; 0 draws it at every step."""


class Sampler:
    """Draws noise of the shape of plans, with unit variance at each step.

    Noise at knots has that too: each step is divided by the standard deviation that the knots' weights and
    covariance give it.
    """

    def __init__(self, config: SamplingConfig, bounds: Bounds) -> None:
        self._beta, self._spline = config.noise_beta, None
        self._bounds, self._std = bounds, config.std
        self._shape = (config.knots or config.horizon, bounds.low.shape[0])
        if config.knots:
            weights = spline(config.horizon, config.knots)
            variance = ((weights @ autocovariance(config.knots, config.noise_beta)) * weights).sum(dim=1)
            self._spline = (weights / variance.sqrt()[:, None]).to(bounds.low.device)

    def draw(self, *batch: int, generator: torch.Generator) -> Float[Tensor, "*b H A"]:
        """Noise for as many plans as `batch` says; one draw serves all iterations of a decision."""
        noise = coloured_noise((*batch, *self._shape), self._beta, generator)
        return noise if self._spline is None else self._spline @ noise

    def around_middle(self, batch: int, n: int, generator: torch.Generator) -> Float[Tensor, "B N H A"]:
        """N = n plans spread over the box, for each episode."""
        noise = self.draw(batch, n, generator=generator) * self._std
        return self._bounds.clamp(self._bounds.middle + self._bounds.half * noise)
