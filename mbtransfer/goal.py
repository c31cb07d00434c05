"""What each episode of a batch is after at this moment: a task, or a recipe's active and guarded steps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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

    def only(self, index: int) -> "Rewards":
        """The same of one of the tasks."""
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

    def only(self, index: int) -> "TrueRewards":
        """See `Rewards.only`."""
        return TrueRewards(self.tasks[index : index + 1])


@dataclass(frozen=True)
class _Share:
    """One task, and the episodes that it counts for: all of them where `rows` is None."""

    task: Rewards
    rows: Tensor | None
    weight: Float[Tensor, "b 1"]

    def of(self, candidates: Float[Tensor, "*h B N D"]) -> Float[Tensor, "*h b N D"]:
        """Its part of the candidates."""
        return candidates if self.rows is None else candidates.index_select(-3, self.rows)

    def add(self, total: Float[Tensor, "*h B N"], values: Float[Tensor, "*h b N 1"]) -> None:
        """Add weighed values to the rows that they belong to."""
        weighed = values[..., 0] * self.weight
        if self.rows is None:
            total += weighed
        else:
            total.index_add_(-2, self.rows, weighed)


class Goal:
    """The rewards of K tasks, weighed episode by episode; a task is worked out only where it counts.

    Args:
        rewards: the tasks.
        active: how much each of B episodes is after each task now.
        guarded: which tasks, once finished, must stay so; None where there are none.
    """

    def __init__(
        self, rewards: Rewards, active: Float[Tensor, "B K"], guarded: Float[Tensor, "B K"] | None = None
    ) -> None:
        self._batch = len(active)
        self._active = list(_shares(rewards, active))
        self._guarded = [] if guarded is None else list(_shares(rewards, guarded))

    def __call__(
        self, obs: Float[Tensor, "*h R O"], action: Float[Tensor, "*h R A"], next_obs: Float[Tensor, "*h R O"]
    ) -> Float[Tensor, "*h R"]:
        """Rewards of R = B * N candidate rows, those of one episode side by side."""
        before, act, after = (x.unflatten(-2, (self._batch, -1)) for x in (obs, action, next_obs))
        total = after.new_zeros(after.shape[:-1])
        for share in self._active:
            share.add(total, share.task.reward(share.of(before), share.of(act), share.of(after)))
        for share in self._guarded:
            share.add(total, GUARD_WEIGHT * (share.task.success(share.of(after)) - 1.0))
        return total.flatten(-2)


def _shares(rewards: Rewards, weights: Float[Tensor, "B K"]) -> Iterator[_Share]:
    for k, weight in enumerate(weights.T):
        rows = weight.nonzero()[:, 0]
        if len(rows):
            everywhere = len(rows) == len(weight)
            yield _Share(rewards.only(k), None if everywhere else rows, weight[rows, None])
