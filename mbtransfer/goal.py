"""What each episode of a batch is after at this moment: a task, or a recipe's active and guarded steps."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from tasks.task import Task

GUARD_WEIGHT = 2.0
"""What it costs, per control step, to lose a step that was finished."""


@runtime_checkable
class Rewards(Protocol):
    """Rewards and success of K tasks at once; true tasks and learned heads swap freely."""

    def reward(
        self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b O"]
    ) -> Float[Tensor, "*b K"]:
        """Reward of each transition in each task."""
        ...

    def success(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b K"]:
        """Probability that each state fulfils each task."""
        ...


class TrueRewards:
    """The tasks' own rewards and predicates."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.tasks = tuple(tasks)

    def reward(
        self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b O"]
    ) -> Float[Tensor, "*b K"]:
        """See `Rewards.reward`."""
        return torch.stack([task.reward(obs, action, next_obs) for task in self.tasks], dim=-1)

    def success(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b K"]:
        """Zero or one."""
        return torch.stack([task.success(obs) for task in self.tasks], dim=-1).to(obs.dtype)


class Goal:
    """The rewards of K tasks, weighed episode by episode.

    Args:
        rewards: the tasks.
        active: how much each of B episodes is after each task now.
        guarded: which tasks, once finished, must stay so; None where there are none.
    """

    def __init__(
        self, rewards: Rewards, active: Float[Tensor, "B K"], guarded: Float[Tensor, "B K"] | None = None
    ) -> None:
        self._rewards, self._active, self._guarded = rewards, active, guarded

    def __call__(
        self, obs: Float[Tensor, "*h R O"], action: Float[Tensor, "*h R A"], next_obs: Float[Tensor, "*h R O"]
    ) -> Float[Tensor, "*h R"]:
        """Rewards of R = B * N candidate rows, those of one episode side by side."""
        n = obs.shape[-2] // len(self._active)
        active = self._active.repeat_interleave(n, dim=0)
        total = (self._rewards.reward(obs, action, next_obs) * active).sum(dim=-1)
        if self._guarded is None or not bool(self._guarded.any()):
            return total
        guarded = self._guarded.repeat_interleave(n, dim=0)
        lost = (1.0 - self._rewards.success(next_obs)) * guarded
        return total - GUARD_WEIGHT * lost.sum(dim=-1)
