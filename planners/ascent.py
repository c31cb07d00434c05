"""Gradient ascent on many plans at once.

Kingma and Ba (2015), "Adam: a method for stochastic optimization"; projected on the box after each step.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from planners.base import Bounds
from planners.candidates import best_of
from planners.decision import Decision
from planners.errors import PlannerError

_DECAY, _SQUARE_DECAY = 0.5, 0.9
"""Shorter memories than Adam usually has: a plan climbs for ten steps, not for ten thousand."""
_TINY = 1e-12
"""Keeps the division finite; so small that rewards of any usual scale give the same steps."""


def climb(
    decision: Decision, plans: Float[Tensor, "B N H A"], bounds: Bounds, iterations: int, rate: float
) -> None:
    """Score the plans `iterations` times and step uphill in between; the decision considers all that is seen.

    Args:
        decision: what scores them.
        plans: where the ascents begin.
        bounds: the box that they stay in.
        iterations: how often they are scored, before and after each step.
        rate: first step, as a share of half the action range; it falls linearly to nothing.

    Raises:
        PlannerError: the objective is not differentiable.
    """
    momentum = square = torch.zeros_like(plans)
    for i in decision.rounds(iterations):
        with torch.enable_grad():
            leaf = plans.detach().requires_grad_()
            returns = decision.score(leaf)
        best, value = best_of(plans, returns.detach(), 1)
        decision.consider(best[:, 0], value[:, 0])
        slope = _slope(returns, leaf)
        momentum = momentum.lerp(slope, 1 - _DECAY)
        square = square.lerp(slope**2, 1 - _SQUARE_DECAY)
        scale = (square / (1 - _SQUARE_DECAY ** (i + 1))).sqrt() + _TINY
        step = momentum / (1 - _DECAY ** (i + 1)) / scale
        plans = bounds.clamp(plans + rate * (1 - i / iterations) * bounds.half * step)


def _slope(returns: Float[Tensor, "B N"], plans: Float[Tensor, "B N H A"]) -> Float[Tensor, "B N H A"]:
    """How each plan's return grows with its actions; nothing where that is not finite.

    Candidates are scored apart, so the gradient of the sum is that of each.
    """
    slope = None
    if returns.requires_grad:
        (slope,) = torch.autograd.grad(returns, plans, torch.ones_like(returns), allow_unused=True)
    if slope is None:
        raise PlannerError(
            "this planner needs a differentiable objective, such as a learned model; the simulator is none"
        )
    return slope.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
