"""How much each candidate weighs in an average of them all."""

import torch
from jaxtyping import Float
from torch import Tensor

from planners.candidates import worst

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
