"""Where the members of an ensemble differ more than is usual: there a policy may live off the model's errors.

Two members are compared at a time, whose squared difference is in expectation twice the ensemble's variance; a reward
that is lowered by it is that of MOPO (Yu et al. 2020, "Model-based offline policy optimization", section 4).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.imagine import Imagination
from world_models.transitions import Transitions

SAMPLE = 2000
"""Transitions of the pool from which it is learned what is usual."""


class Doubt:
    """Compares each member's step with that of its neighbour.

    Args:
        imagination: the ensemble, one particle per member.
        change: usual change of each column in a control step.
        pool: transitions that were seen.
    """

    def __init__(self, imagination: Imagination, change: Float[Tensor, " O"], pool: Transitions) -> None:
        self._imagination, self._change = imagination, change
        rows = torch.linspace(0, len(pool) - 1, min(len(pool), SAMPLE), device=pool.obs.device).long()
        obs, actions = (
            x[rows].expand(imagination.particles, -1, -1).contiguous() for x in (pool.obs, pool.actions)
        )
        with torch.no_grad():
            self._usual = self._difference(obs, actions, self._step(obs, actions)).median().clamp(min=1e-6)

    def __call__(
        self, obs: Float[Tensor, "P R O"], action: Float[Tensor, "P R A"], ahead: Float[Tensor, "P R O"]
    ) -> Float[Tensor, "P R"]:
        """By how many times what is usual two members differ about a step, above what is usual; with its gradient."""
        return (self._difference(obs, action, ahead) / self._usual - 1).clamp(min=0.0)

    def _difference(
        self, obs: Float[Tensor, "P R O"], action: Float[Tensor, "P R A"], ahead: Float[Tensor, "P R O"]
    ) -> Float[Tensor, "P R"]:
        """Root mean square over the columns, in units of their change."""
        neighbour = self._step(obs.roll(1, dims=0), action.roll(1, dims=0)).roll(-1, dims=0)
        apart: Tensor = ((ahead - neighbour) / self._change).square().mean(dim=-1)
        return (apart + 1e-8).sqrt()  # at zero a root has no gradient

    def _step(self, obs: Float[Tensor, "P R O"], action: Float[Tensor, "P R A"]) -> Float[Tensor, "P R O"]:
        return self._imagination.step(obs.mT, action.mT).mT
