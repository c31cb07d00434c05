"""Uniformly random actions: the lower end of the normalisation (Mnih et al. 2015, "Human-level control", table 2)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from mbtransfer.mpc.agent import action_bounds
from mbtransfer.transfer.method import Method, Solution, Sources
from tasks.task import Task


@dataclass(frozen=True)
class RandomPolicy(Method[Sources]):
    """Carries nothing and learns nothing."""

    name: ClassVar[str] = "random"
    without_practice: ClassVar[bool] = True

    def pretrain(self, sources: Sources) -> Sources:
        """Nothing."""
        return sources

    def solve(self, carried: Sources, target: Task) -> Solution:
        """Draw every action from the whole action box."""
        bounds = action_bounds(carried.model.environment.spec, carried.model.device)
        generator = torch.Generator(bounds.low.device).manual_seed(carried.seed)

        def policy(obs: Float[Tensor, "B O"]) -> Float[Tensor, "B A"]:
            shape = (*obs.shape[:-1], len(bounds.low))
            draw = torch.rand(shape, generator=generator, device=obs.device)
            return bounds.low + (bounds.high - bounds.low) * draw

        return Solution(policy)
