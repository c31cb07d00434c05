"""Model predictive path integral (MPPI) planner.

The mean of all candidates, weighted by the exponential of their returns R at temperature T:

    w_i  = exp(R_i / T) / sum_j exp(R_j / T)
    mean = sum_i w_i * candidate_i

Williams et al. (2017), "Information theoretic MPC for model-based reinforcement learning", Algorithm 2.
The weighted mean does not chase the one candidate that the model is most wrong about.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from planners.base import Bounds
from planners.sampling import Amount, Count, Positive, SamplingConfig, SamplingPlanner, SamplingState, Share
from planners.search import worst


@dataclass(frozen=True)
class MPPIConfig(SamplingConfig):
    """Settings of MPPI."""

    horizon: Count = 10
    """Control steps that a plan looks ahead."""
    candidates: Count = 64
    """Plans drawn in each iteration."""
    std: Amount = 1.0
    """First spread, as a share of half the action range."""
    iterations: Count = 1
    """Times the mean is moved."""
    ess: Share = 0.1
    """Effective share of the candidates in the mean: sets the temperature anew each time; 0 keeps it fixed."""
    temperature: Positive = 0.5
    """With ess=0: returns this much below the best weigh 1/e of it. It has the unit of the rewards."""
    min_std: Amount = 0.1
    """Spread below which the search never narrows."""


class MPPI(SamplingPlanner):
    """Batched MPPI with a spread that follows the weights; proposals are candidates in every iteration (TD-MPC2)."""

    config_type = MPPIConfig

    def __init__(self, config: MPPIConfig, bounds: Bounds) -> None:
        super().__init__(config, bounds)
        self._least_std = config.min_std * bounds.half

    def noise(self, batch: int, generator: torch.Generator) -> Sequence[Float[Tensor, "B N H A"]]:
        """The first candidate of each iteration is the mean itself."""
        noise = self.sampler.draw(self.iterations, batch, self.config.candidates, generator=generator)
        noise[:, :, 0] = 0.0
        return noise.unbind()

    def update(
        self, state: SamplingState, candidates: Float[Tensor, "B N H A"], returns: Float[Tensor, "B N"]
    ) -> SamplingState:
        """Mean and spread of the candidates by weight."""
        weights = self._weights(returns)[..., None, None]
        mean = (weights * candidates).sum(dim=1)
        spread = (weights * (candidates - mean[:, None]) ** 2).sum(dim=1).sqrt()
        return state.updated(mean=mean, std=torch.maximum(spread, self._least_std))

    def _weights(self, returns: Float[Tensor, "B N"]) -> Float[Tensor, "B N"]:
        if self.config.ess:
            return exponential_of_size(returns, self.config.ess)
        return exponential(returns, self.config.temperature)


_LOG_RANGE = (-7.0, 14.0)
"""Bracket of the log of the inverse temperature, where the mean gap to the best return is 1."""
_WAYS, _ROUNDS = 32, 3
"""Parts into which each round cuts the bracket, and rounds: its end is 21 / 32^3 = 0.0006 wide."""
_FAR = 1e30
"""Gap of a candidate without a finite return: it weighs nothing, unless there is no other."""


def exponential(returns: Float[Tensor, "B N"], temperature: float) -> Float[Tensor, "B N"]:
    """Weights of sum 1; a return `temperature` below the best weighs 1/e of it."""
    return ((returns - returns.amax(dim=1, keepdim=True)) / temperature).softmax(dim=1)


def exponential_of_size(returns: Float[Tensor, "B N"], share: float) -> Float[Tensor, "B N"]:
    """Exponential weights whose effective sample size, 1 / sum of squares, is `share` of N.

    Kong, Liu and Wong (1994), "Sequential imputations and Bayesian missing data problems", section 4. The size
    grows with the temperature, which is found by bisection, many ways at once: a fixed number of steps.
    Candidates without a finite return weigh nothing; a size that cannot be had becomes the nearest.
    """
    finite = returns != worst(returns)
    gap = (returns.amax(dim=1, keepdim=True) - returns).where(finite, 0.0)
    mean = gap.sum(dim=1, keepdim=True) / finite.sum(dim=1, keepdim=True).clamp(min=1)
    gap = (gap / mean.clamp(min=torch.finfo(gap.dtype).tiny)).where(finite, _FAR)[:, None]
    low, high = _LOG_RANGE
    cold = returns.new_full((len(returns), 1, 1), low)
    width = high - low
    ways = torch.linspace(0, 1, _WAYS + 1, device=returns.device)[1:, None]
    for _ in range(_ROUNDS):
        weights = (-gap * (cold + width * ways).exp()).exp()
        size = weights.sum(dim=2, keepdim=True) ** 2 / weights.square().sum(dim=2, keepdim=True)
        width /= _WAYS
        cold = cold + width * (size > share * returns.shape[1]).sum(dim=1, keepdim=True)
    return (-gap * cold.exp())[:, 0].softmax(dim=1)
