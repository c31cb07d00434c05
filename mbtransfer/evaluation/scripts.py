"""What a batch of episodes is asked to do, and who judges it; here for one task."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from mbtransfer.goal import Goal, Rewards
from tasks.recipe.model import DEFAULT_HOLD
from tasks.task import Task


@dataclass(frozen=True)
class Verdict:
    """What one control step has brought about, for each of B episodes.

    Attributes:
        ended: the episode is over.
        success: it is over, and all was done.
        changed: it now is after something else than before, so the old plan is of no use.
    """

    ended: Bool[ndarray, " B"]
    success: Bool[ndarray, " B"]
    changed: Bool[ndarray, " B"]


@runtime_checkable
class Script(Protocol):
    """Tells the agent what each episode is after, and judges what it did.

    Where it `needs_state`, all observations that it is given are widened by it; see `Scene.shown`. An `endless` one
    asks for nothing to be fulfilled.
    """

    kind: str
    name: str
    split: str
    limit: int
    needs_state: bool
    endless: bool

    def begin(self, obs: Float[Tensor, "B O"]) -> None:
        """B episodes start."""
        ...

    def goal(self) -> Goal:
        """What the episodes are after now."""
        ...

    def reward(
        self, obs: Float[Tensor, "B O"], action: Float[Tensor, "B A"], next_obs: Float[Tensor, "B O"]
    ) -> Float[Tensor, " B"]:
        """The true reward of what the episodes are after."""
        ...

    def advance(self, obs: Float[Tensor, "B O"]) -> Verdict:
        """One control step was taken, which led to `obs`."""
        ...

    def keep(self, rows: Bool[ndarray, " B"]) -> None:
        """Go on with some of the episodes only."""
        ...

    def now(self, row: int) -> str:
        """What an episode is after, in words."""
        ...

    def tasks_now(self, row: int) -> tuple[Task, ...]:
        """What an episode is after; nothing once it has ended."""
        ...

    def steps(self, row: int) -> tuple[int, int]:
        """How many of the steps are truly done, and how many there are."""
        ...

    def why(self, row: int) -> str:
        """Why an episode failed, in words; nothing where it just ran out of time."""
        ...


class TaskScript:
    """One task: solved once its true predicate held for `hold` consecutive control steps."""

    kind = "task"

    def __init__(self, task: Task, rewards: Rewards, limit: int, hold: int = DEFAULT_HOLD) -> None:
        self.name, self.split, self.limit = task.name, task.split, limit
        self._task, self._rewards, self._hold = task, rewards, hold
        self.needs_state, self.endless = task.needs_state, task.endless
        self._held, self._weights = np.zeros(0, int), torch.ones(0, 1)

    def begin(self, obs: Float[Tensor, "B O"]) -> None:
        """See `Script.begin`."""
        self._held = np.zeros(len(obs), int)
        self._weights = torch.ones(len(obs), 1, device=obs.device)

    def goal(self) -> Goal:
        """See `Script.goal`."""
        return Goal(self._rewards, self._weights)

    def reward(
        self, obs: Float[Tensor, "B O"], action: Float[Tensor, "B A"], next_obs: Float[Tensor, "B O"]
    ) -> Float[Tensor, " B"]:
        """See `Script.reward`."""
        return self._task.reward(obs, action, next_obs)

    def advance(self, obs: Float[Tensor, "B O"]) -> Verdict:
        """See `Script.advance`."""
        self._held = np.where(self._task.success(obs).cpu().numpy(), self._held + 1, 0)
        solved = self._held >= self._hold
        return Verdict(solved, solved, np.zeros_like(solved))

    def keep(self, rows: Bool[ndarray, " B"]) -> None:
        """See `Script.keep`."""
        self._held, self._weights = self._held[rows], self._weights[: int(rows.sum())]

    def now(self, row: int) -> str:
        """See `Script.now`."""
        return self.name

    def tasks_now(self, row: int) -> tuple[Task, ...]:
        """See `Script.tasks_now`."""
        return (self._task,)

    def steps(self, row: int) -> tuple[int, int]:
        """See `Script.steps`."""
        return int(self._held[row] >= self._hold), int(not self._task.endless)

    def why(self, row: int) -> str:
        """See `Script.why`."""
        return ""
