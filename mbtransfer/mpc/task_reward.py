"""Reward of each episode in a batch: its task, or the active and guarded steps of its recipe."""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tasks.task import Task

GUARD_WEIGHT = 2.0
"""Cost, per control step, of losing a step that was finished, or of moving what it moved: so many times the spread of
the rewards compared."""

ExtraReward = Callable[[Tensor], Tensor]
"""Maps states [*h B N O] of each episode's candidates to rewards [*h B N]."""


@runtime_checkable
class Rewards(Protocol):
    """Rewards and success of K tasks at once; true tasks and learned heads are interchangeable."""

    def reward(
        self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b O"]
    ) -> Float[Tensor, "*b K"]:
        """Reward of each transition in each task."""
        ...

    def success(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b K"]:
        """Probability that each state fulfils each task."""
        ...

    def pairs(self, rows: Int[Tensor, " S"], tasks: Int[Tensor, " S"]) -> "Pairs":
        """Select the task `tasks[s]` for the episode `rows[s]` of a batch, for each s."""
        ...


@runtime_checkable
class Pairs(Protocol):
    """Some pairs of an episode and a task, evaluated for all N candidates of the episode at once."""

    def reward(
        self,
        obs: Float[Tensor, "*h B N O"],
        action: Float[Tensor, "*h B N A"],
        next_obs: Float[Tensor, "*h B N O"],
    ) -> Float[Tensor, "*h S N"]:
        """Reward of each pair's candidates."""
        ...

    def success(self, obs: Float[Tensor, "*h B N O"]) -> Float[Tensor, "*h S N"]:
        """Probability that each pair's candidates fulfil its task."""
        ...


class TrueRewards:
    """The tasks' own rewards and predicates."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.tasks = tuple(tasks)
        self.privileged = any(task.privileged for task in tasks)

    def reward(
        self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b O"]
    ) -> Float[Tensor, "*b K"]:
        """See `Rewards.reward`."""
        return torch.stack([task.reward(obs, action, next_obs) for task in self.tasks], dim=-1)

    def success(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b K"]:
        """Success as zero or one."""
        return torch.stack([task.success(obs) for task in self.tasks], dim=-1).to(obs.dtype)

    def pairs(self, rows: Int[Tensor, " S"], tasks: Int[Tensor, " S"]) -> "TruePairs":
        """See `Rewards.pairs`."""
        return TruePairs(self.tasks, rows, tasks)


class TruePairs:
    """Pairs of true tasks, evaluated task by task, as each is a separate function."""

    def __init__(self, tasks: Sequence[Task], rows: Int[Tensor, " S"], which: Int[Tensor, " S"]) -> None:
        places = [(task, (which == k).nonzero()[:, 0]) for k, task in enumerate(tasks)]
        self._parts = [(task, at, rows[at]) for task, at in places if len(at)]
        self._count = len(rows)

    def reward(
        self,
        obs: Float[Tensor, "*h B N O"],
        action: Float[Tensor, "*h B N A"],
        next_obs: Float[Tensor, "*h B N O"],
    ) -> Float[Tensor, "*h S N"]:
        """See `Pairs.reward`."""
        values = obs.new_empty(*obs.shape[:-3], self._count, obs.shape[-2])
        for task, at, rows in self._parts:
            chosen = (x.index_select(-3, rows) for x in (obs, action, next_obs))
            values = values.index_copy(-2, at, task.reward(*chosen).to(obs.dtype))
        return values

    def success(self, obs: Float[Tensor, "*h B N O"]) -> Float[Tensor, "*h S N"]:
        """See `Pairs.success`."""
        values = obs.new_empty(*obs.shape[:-3], self._count, obs.shape[-2])
        for task, at, rows in self._parts:
            values = values.index_copy(-2, at, task.success(obs.index_select(-3, rows)).to(obs.dtype))
        return values


class TaskReward:
    """Weighted sum of the rewards of K tasks for each episode; a task is evaluated only where its weight is not zero.

    Args:
        rewards: the tasks.
        active: weight of each task in each of B episodes.
        guarded: finished tasks that must stay finished; None if there are none.
        still: per column, the inverse of how far it may move in a step before that costs as much as losing a finished
            task; None if everything may move.
        extra_reward: reward in addition to the tasks; None for none.

    Attributes:
        privileged: whether observations must include the simulator's state; see `Simulator.observe_privileged`.
    """

    def __init__(
        self, rewards: Rewards, active: Float[Tensor, "B K"], guarded: Float[Tensor, "B K"] | None = None,
        still: Float[Tensor, "B O"] | None = None, extra_reward: ExtraReward | None = None,
    ) -> None:  # fmt: skip
        self.privileged = bool(getattr(rewards, "privileged", False))
        self._rewards, self._weights, self._guards, self._beside = rewards, active, guarded, extra_reward
        self._still = still if still is not None and bool(still.any()) else None
        self._active, self._guarded = (_share(rewards, weights) for weights in (active, guarded))

    def override(self, rows: Bool[Tensor, " B"], extra_reward: ExtraReward) -> "TaskReward":
        """The same reward, with `extra_reward` instead of all but the guarded tasks in some episodes."""

        def there(next_obs: Float[Tensor, "*h B N O"]) -> Float[Tensor, "*h B N"]:
            found = extra_reward(next_obs) * rows[:, None]
            return found if self._beside is None else found + self._beside(next_obs) * ~rows[:, None]

        none = self._weights.masked_fill(rows[:, None], 0.0)
        return TaskReward(self._rewards, none, self._guards, self._still, there)

    def __call__(
        self, obs: Float[Tensor, "*h R O"], action: Float[Tensor, "*h R A"], next_obs: Float[Tensor, "*h R O"]
    ) -> Float[Tensor, "*h R"]:
        """Rewards of R = B * N candidate rows; those of one episode are consecutive."""
        batch = len(self._weights)
        before, act, after = (
            rearrange(x, "... (b n) y -> ... b n y", b=batch) for x in (obs, action, next_obs)
        )
        total = after.new_zeros(after.shape[:-1])
        if self._active is not None:
            total = self._active.spread(self._active.pairs.reward(before, act, after))
        if self._beside is not None:
            total = total + self._beside(after)
        loss = total.new_zeros(())
        if self._guarded is not None:
            loss = self._guarded.spread(1.0 - self._guarded.pairs.success(after))
        if self._still is not None:
            moved = torch.einsum("... b n o, b o -> ... b n", (after - before).abs(), self._still)
            loss = loss + moved.clamp(max=1.0)
        if loss.dim():
            total = total - GUARD_WEIGHT * _spread(total) * loss
        return rearrange(total, "... b n -> ... (b n)")


def _spread(rewards: Float[Tensor, "*h B N"]) -> Float[Tensor, "B 1"]:
    """Range of each episode's rewards over candidates and steps: the unit they are in; 1 where all are equal."""
    each = rearrange(rewards, "... b n -> b (... n)")
    spread = each.amax(dim=1, keepdim=True) - each.amin(dim=1, keepdim=True)
    return spread.detach().where(spread > 0, 1.0)


def _share(rewards: Rewards, weights: Tensor | None) -> "_Share | None":
    """The pairs with a weight; None if all weights are zero."""
    return None if weights is None or not bool(weights.any()) else _Share(rewards, weights)


class _Share:
    """The pairs of an episode and a task whose weight is not zero, and their weights."""

    def __init__(self, rewards: Rewards, weights: Float[Tensor, "B K"]) -> None:
        rows, tasks = weights.nonzero(as_tuple=True)
        self._batch, self._rows = len(weights), rows
        self._weights = weights[rows, tasks, None]
        self._each_once = len(rows) == self._batch == len(rows.unique())
        self.pairs = rewards.pairs(rows, tasks)

    def spread(self, values: Float[Tensor, "*h S N"]) -> Float[Tensor, "*h B N"]:
        """The weighted sum over the pairs of each episode."""
        weighed = values * self._weights
        if self._each_once:
            return weighed
        total = weighed.new_zeros(*weighed.shape[:-2], self._batch, weighed.shape[-1])
        return total.index_add(-2, self._rows, weighed)
