"""The bridge: a world (imagined or simulated) and a reward become the one function that a planner sees."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from planners.base import Objective
from tasks.scene import Scene
from world_models.imagine import Imagination

Reward = Callable[[Tensor, Tensor, Tensor], Tensor]
"""obs [*h R O], action [*h R A], next_obs [*h R O] to [*h R]: `Task.reward`, or a `Goal`."""


@runtime_checkable
class Dynamics(Protocol):
    """Follows plans from where each episode stands."""

    def objective(
        self, obs: Float[Tensor, "B O"], state: np.ndarray, reward: Reward, generator: torch.Generator
    ) -> Objective:
        """Returns of candidate plans, summed over the horizon."""
        ...


class LearnedDynamics:
    """Plans are followed by the ensemble; needs observations only."""

    def __init__(self, imagination: Imagination) -> None:
        self.imagination = imagination

    def objective(
        self, obs: Float[Tensor, "B O"], state: np.ndarray, reward: Reward, generator: torch.Generator
    ) -> Objective:
        """Mean over particles of the summed reward."""

        def returns(candidates: Float[Tensor, "B N H A"]) -> Float[Tensor, "B N"]:
            batch, n = candidates.shape[:2]
            plans = candidates.flatten(0, 1)
            path = self.imagination(obs.repeat_interleave(n, dim=0), plans, generator).obs
            action = plans.transpose(0, 1)[:, None].expand(*path[1:].shape[:-1], -1)
            rewards = reward(path[:-1], action, path[1:])
            return rewards.sum(dim=0).mean(dim=0).unflatten(0, (batch, n))

        return returns


class OracleDynamics:
    """Plans are followed by the true simulator: the bound of every result, and an expert that fills data."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def objective(
        self, obs: Float[Tensor, "B O"], state: np.ndarray, reward: Reward, generator: torch.Generator
    ) -> Objective:
        """The summed reward of the true future."""

        def returns(candidates: Float[Tensor, "B N H A"]) -> Float[Tensor, "B N"]:
            batch, n = candidates.shape[:2]
            plans = candidates.flatten(0, 1)
            starts = np.repeat(state, n, axis=0)
            states = np.concatenate(
                [starts[:, None], self.scene.rollout(starts, plans.cpu().numpy())], axis=1
            )
            path = torch.from_numpy(self.scene.observe(states)).to(plans).transpose(0, 1)
            rewards = reward(path[:-1], plans.transpose(0, 1), path[1:])
            return rewards.sum(dim=0).unflatten(0, (batch, n))

        return returns
