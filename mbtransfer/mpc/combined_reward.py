"""Rewards of tasks that are made of other tasks, from the rewards of their parts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from mbtransfer.mpc.task_reward import Rewards
from tasks.task import Combined, Task, simple_parts


def combined_rewards(tasks: Sequence[Task], of_parts: Callable[[Sequence[Task]], Rewards]) -> Rewards:
    """The rewards of tasks, where those of simple tasks are known.

    Args:
        tasks: simple ones and combined ones.
        of_parts: gives the rewards of simple tasks, such as learned heads.
    """
    if not any(isinstance(task, Combined) for task in tasks):
        return of_parts(tasks)
    leaves = [simple_parts(task) for task in tasks]
    simple = list(dict.fromkeys(leaf for some in leaves for leaf in some))
    places = [[simple.index(leaf) for leaf in some] for some in leaves]
    return _CombinedRewards(tuple(tasks), of_parts(simple), places)


def _combine(
    task: Task, reward: Float[Tensor, "*b n"], success: Float[Tensor, "*b n"]
) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b"]]:
    """Reward and success of a task, given those of its leaves."""
    if not isinstance(task, Combined):
        return reward[..., 0], success[..., 0]
    sizes = [len(simple_parts(part)) for part in task.parts]
    pieces = zip(task.parts, reward.split(sizes, dim=-1), success.split(sizes, dim=-1), strict=True)
    rewards, successes = zip(*(_combine(*piece) for piece in pieces), strict=True)
    chance = torch.stack(successes, dim=-1)
    return task.combined_reward(torch.stack(rewards, dim=-1), chance), task.combined_success(chance)


@dataclass(frozen=True)
class _CombinedRewards:
    """See `combined_rewards`.

    Attributes:
        tasks: K tasks.
        simple: the rewards of all leaves.
        places: for each task, where its leaves are among them.
    """

    tasks: tuple[Task, ...]
    simple: Rewards
    places: Sequence[Sequence[int]]

    def reward(
        self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b O"]
    ) -> Float[Tensor, "*b K"]:
        """See `Rewards.reward`."""
        reward, success = self.simple.reward(obs, action, next_obs), self.simple.success(next_obs)
        each = zip(self.tasks, self.places, strict=True)
        return torch.stack(
            [_combine(task, reward[..., at], success[..., at])[0] for task, at in each], dim=-1
        )

    def success(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b K"]:
        """See `Rewards.success`."""
        success = self.simple.success(obs)
        each = zip(self.tasks, self.places, strict=True)
        return torch.stack(
            [_combine(task, success[..., at], success[..., at])[1] for task, at in each], dim=-1
        )

    def pairs(self, rows: Int[Tensor, " S"], tasks: Int[Tensor, " S"]) -> "_CombinedPairs":
        """See `Rewards.pairs`."""
        return _CombinedPairs(self, rows, tasks)


class _CombinedPairs:
    """Pairs of an episode and a combined task: pairs with all leaves, which are then put together task by task."""

    def __init__(self, rewards: _CombinedRewards, rows: Int[Tensor, " S"], tasks: Int[Tensor, " S"]) -> None:
        leaf_rows, leaves, self._groups, order, begin = [], [], [], [], 0
        for k, (task, places) in enumerate(zip(rewards.tasks, rewards.places, strict=True)):
            at = (tasks == k).nonzero()[:, 0]
            if len(at):
                here = torch.arange(begin, begin + len(at) * len(places), device=rows.device)
                self._groups.append((task, rearrange(here, "(g n) -> g n", n=len(places))))
                leaf_rows.append(rows[at].repeat_interleave(len(places)))
                leaves.append(torch.tensor(places, device=rows.device).repeat(len(at)))
                order.append(at)
                begin += len(here)
        self._order = torch.cat(order).argsort()
        self._simple = rewards.simple.pairs(torch.cat(leaf_rows), torch.cat(leaves))

    def reward(
        self,
        obs: Float[Tensor, "*h B N O"],
        action: Float[Tensor, "*h B N A"],
        next_obs: Float[Tensor, "*h B N O"],
    ) -> Float[Tensor, "*h S N"]:
        """See `Pairs.reward`."""
        return self._put_together(
            self._simple.reward(obs, action, next_obs), self._simple.success(next_obs), 0
        )

    def success(self, obs: Float[Tensor, "*h B N O"]) -> Float[Tensor, "*h S N"]:
        """See `Pairs.success`."""
        success = self._simple.success(obs)
        return self._put_together(success, success, 1)

    def _put_together(
        self, reward: Float[Tensor, "*h L N"], success: Float[Tensor, "*h L N"], which: int
    ) -> Float[Tensor, "*h S N"]:
        values = []
        for task, places in self._groups:
            own = (rearrange(x[..., places, :], "... g n c -> ... g c n") for x in (reward, success))
            values.append(_combine(task, *own)[which])
        return torch.cat(values, dim=-2).index_select(-2, self._order)
