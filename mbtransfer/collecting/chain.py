"""One task after the other within an episode: what the hand does last is where the next one begins."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from mbtransfer.goal import Goal, Rewards

HELD = 3
"""Control steps for which a task must hold before the next one begins."""


class Chain:
    """What each of B episodes is after: a task until it is done, then another one that is not, drawn at random.

    Args:
        rewards: of K tasks.
        tasks: K.
        first: the task that each episode begins with.
        rng: draws the next ones.
    """

    def __init__(
        self, rewards: Rewards, tasks: int, first: Int[ndarray, " B"], rng: np.random.Generator
    ) -> None:
        self._rewards, self._tasks, self._rng = rewards, tasks, rng
        self.now = np.array(first)
        self._held = np.zeros(len(first), int)

    def advance(self, obs: Float[Tensor, "B O"]) -> Bool[Tensor, " B"]:
        """Look at where the episodes are; which of them are after another task from here on."""
        won = self._rewards.success(obs).cpu().numpy() > 0.5
        rows = np.arange(len(self.now))
        self._held = np.where(won[rows, self.now], self._held + 1, 0)
        changed = (self._held >= HELD) & ~won.all(axis=1)
        for row in np.flatnonzero(changed):
            self.now[row] = self._rng.choice(np.flatnonzero(~won[row]))
            self._held[row] = 0
        return torch.from_numpy(changed)

    def goal(self) -> Goal:
        """The reward of each episode's task."""
        return Goal(self._rewards, torch.eye(self._tasks)[torch.from_numpy(self.now)])
