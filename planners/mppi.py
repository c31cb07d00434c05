"""MPPI: the average of all plans, weighted by the exponential of their returns.

Williams et al. (2017), "Information theoretic MPC for model-based reinforcement learning", Algorithm 2.
The weighted mean does not chase the one candidate that the model is most wrong about.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from planners.base import Bounds, Objective, Plan
from planners.candidates import join
from planners.decision import Decision
from planners.sampling import Sampler, SamplingConfig
from planners.weights import exponential, exponential_of_size


@dataclass(frozen=True)
class MPPIConfig(SamplingConfig):
    """Settings of MPPI."""

    horizon: int = 10
    """Control steps that a plan looks ahead."""
    candidates: int = 64
    """Plans drawn in each iteration."""
    std: float = 1.0
    """First spread, as a share of half the action range."""
    iterations: int = 1
    """Times the mean is moved."""
    temperature: float = 0.5
    """Returns this much below the best weigh 1/e of it."""
    ess: float = 0.0
    """Effective share of the candidates in the mean: sets the temperature anew each time; 0 keeps it fixed."""
    min_std: float = 0.1
    """Spread below which the search never narrows."""


class MPPI:
    """Batched model-predictive path integral control with a spread that follows the weights."""

    def __init__(self, config: MPPIConfig, bounds: Bounds) -> None:
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
        """See `Planner.plan`; returns the last weighted mean. Proposals are in every iteration, as in TD-MPC2."""
        config, bounds = self.config, self.bounds
        proposals = None if proposals is None else bounds.clamp(proposals)
        floor = config.min_std * bounds.half
        mean, std = start, (config.std * bounds.half).expand_as(start)
        draws = self._sampler.draw(config.iterations, len(start), config.candidates, generator=generator)
        draws[:, :, 0] = 0.0
        decision = Decision(objective, start, deadline)
        for i in decision.rounds(config.iterations):
            candidates = join(bounds.clamp(mean[:, None] + std[:, None] * draws[i]), proposals)
            weights = self._weights(decision.score(candidates))[..., None, None]
            mean = (weights * candidates).sum(dim=1)
            spread = (weights * (candidates - mean[:, None]) ** 2).sum(dim=1).sqrt()
            std = torch.maximum(spread, floor)
        return decision.settle(mean, std)

    def _weights(self, returns: Float[Tensor, "B N"]) -> Float[Tensor, "B N"]:
        if self.config.ess:
            return exponential_of_size(returns, self.config.ess)
        return exponential(returns, self.config.temperature)
