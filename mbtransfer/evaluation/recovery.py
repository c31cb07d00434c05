"""Stall recovery: an episode without progress returns to its start and tries again."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mbtransfer.mpc.task_reward import TaskReward
from tasks.spec import EnvSpec

GAIN = 0.05
"""Smallest progress that counts: this share of what the current try has gained so far, above its best reward."""

BACK = "back, to try again"
"""The goal of a returning episode, in words."""

WAY = 20
"""Maximum number of control steps of a return."""

NEAR = 0.02
"""A return ends when the robot's columns are this close to their start values, as a share of their ranges."""

PULL = 10.0
"""Reward lost per control step at a distance of the whole range from the start."""


class StallRecovery:
    """Which of B episodes are returning to their start, and how long the others have made no progress.

    A model-based planner often fails in postures that the data do not cover, where its model is wrong and stays wrong;
    the start of the episode is a place that the model knows.

    Args:
        spec: tells which columns belong to the robot: its arm and hand.
        obs: the start of the episodes.
        patience: control steps without progress after which a try is over; infinite for never.
    """

    def __init__(self, spec: EnvSpec, obs: Float[Tensor, "B W"], patience: int | float) -> None:
        self._columns = [*spec.arm, *spec.hand]
        ranges = [spec.observation[column].high - spec.observation[column].low for column in self._columns]
        self._ranges, self._patience = obs.new_tensor(ranges), patience
        self._home = obs[:, self._columns]
        self._left = torch.zeros(len(obs), dtype=torch.long, device=obs.device)
        self._stale = torch.zeros_like(self._left)
        self._best, self._worst = (obs.new_full((len(obs),), end) for end in (-torch.inf, torch.inf))

    @property
    def back(self) -> Bool[Tensor, " B"]:
        """Which episodes are returning to their start."""
        return self._left > 0

    def goal(self, goal: TaskReward) -> TaskReward:
        """The same reward, except that returning episodes pursue their start; guarded steps must stay done."""
        if not bool(self.back.any()):
            return goal
        return goal.override(self.back, lambda obs: -PULL * self._away(obs, self._home[:, None]))

    def advance(
        self, reward: Float[Tensor, " B"], obs: Float[Tensor, "B W"], switched: Bool[Tensor, " B"]
    ) -> Bool[Tensor, " B"]:
        """Process one control step.

        Args:
            reward: reward of the goal in the new state.
            obs: observations of the new state.
            switched: which episodes have just changed their goal, and have not tried the new one yet.

        Returns:
            Which episodes start to return or start a new try, so that the old plan is useless.
        """
        back = self.back
        self._left = (self._left - 1).clamp(min=0)
        self._left[self._away(obs, self._home) < NEAR] = 0
        gained = reward > self._best + GAIN * (self._best - self._worst).clamp(min=0.0)
        self._best = torch.where(gained, reward, self._best)
        self._worst = torch.minimum(self._worst, reward)
        self._stale = torch.where(gained | back, 0, self._stale + 1)
        stalled = (self._stale >= self._patience) & ~switched
        self._left[stalled] = WAY
        restarted = stalled | (back & ~self.back)
        self._begin(restarted | switched)
        return restarted

    def keep(self, rows: Bool[Tensor, " B"]) -> None:
        """Keep only some of the episodes."""
        self._home, self._left, self._stale = self._home[rows], self._left[rows], self._stale[rows]
        self._best, self._worst = self._best[rows], self._worst[rows]

    def _begin(self, rows: Bool[Tensor, " B"]) -> None:
        """Start a new try, without any gain yet."""
        self._stale[rows] = 0
        self._best[rows], self._worst[rows] = -torch.inf, torch.inf

    def _away(self, obs: Float[Tensor, "*n W"], home: Float[Tensor, "*m C"]) -> Float[Tensor, "*n"]:
        """Distance of the robot from its start, as a share of its columns' ranges."""
        return ((obs[..., self._columns] - home).abs() / self._ranges).mean(dim=-1)
