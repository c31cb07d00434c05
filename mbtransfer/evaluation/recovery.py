"""Stall recovery: an episode without progress returns to its start and tries again."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mbtransfer.mpc.task_reward import TaskReward
from tasks.spec import EnvSpec

GAIN = 0.05
"""A reward above the best one by this share of what the try has gained so far counts as a gain."""

BACK = "back, to try again"
"""What an episode on its way back is after, in words."""

WAY = 20
"""Control steps that the way back takes at most."""

NEAR = 0.02
"""It is over when the robot's columns are this near to how they began, in shares of their ranges."""

PULL = 10.0
"""Reward lost, per control step, for being away from there by the whole range."""


class StallRecovery:
    """Which of B episodes are on their way back, and since when the others have gained nothing.

    A model-based planner that fails often does so in postures that no data show, where its model is wrong and
    stays wrong; how the episode began is a place that it knows.

    Args:
        spec: which columns are the robot's own: its arm and hand.
        obs: where the episodes begin.
        patience: control steps without a gain after which a try is over; infinite for never.
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
        """Which episodes are on their way back."""
        return self._left > 0

    def goal(self, goal: TaskReward) -> TaskReward:
        """The same; but those on their way back are after how they began, and what must stay as it is."""
        if not bool(self.back.any()):
            return goal
        return goal.override(self.back, lambda obs: -PULL * self._away(obs, self._home[:, None]))

    def advance(
        self, reward: Float[Tensor, " B"], obs: Float[Tensor, "B W"], switched: Bool[Tensor, " B"]
    ) -> Bool[Tensor, " B"]:
        """One control step was taken.

        Args:
            reward: what it is worth to be here.
            obs: where it led.
            switched: which episodes now pursue something else, at which they have not tried yet.

        Returns:
            Which episodes turn back or set about it anew, so that the old plan is of no use.
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
        """Go on with some of the episodes only."""
        self._home, self._left, self._stale = self._home[rows], self._left[rows], self._stale[rows]
        self._best, self._worst = self._best[rows], self._worst[rows]

    def _begin(self, rows: Bool[Tensor, " B"]) -> None:
        """A new try: nothing is gained yet."""
        self._stale[rows] = 0
        self._best[rows], self._worst[rows] = -torch.inf, torch.inf

    def _away(self, obs: Float[Tensor, "*n W"], home: Float[Tensor, "*m C"]) -> Float[Tensor, "*n"]:
        """How far the robot is from how it began, as a share of its columns' ranges."""
        return ((obs[..., self._columns] - home).abs() / self._ranges).mean(dim=-1)
