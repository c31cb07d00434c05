"""Episodes of one task or of several as a `gymnasium.Env`, as the evaluation has them."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.errors import UserError
from tasks.environment import Environment
from tasks.errors import TaskError
from tasks.gym_env import TaskEnv
from tasks.recipe.recipe import DEFAULT_HOLD
from tasks.task import Task


class TaskEpisodes(TaskEnv):
    """Episodes of a task drawn anew for each, with the task's own reward, in the true simulator.

    An episode ends as in `mbtransfer.evaluation`: after `spec.episode_steps` control steps, or once success has held
    for `DEFAULT_HOLD` of them. Both truncate it, they do not terminate it: the task's reward would go on (what is open
    shall stay open), and an agent for which it stopped would keep away from success wherever rewards are positive. An
    end without a next state is one of the world: it terminates the episode where the environment itself ended it, and
    truncates it where the simulation diverged.

    Args:
        environment: the environment.
        tasks: the K tasks.
        contexts: what observations say of each task, behind the other columns; None for nothing.
        until_success: whether success ends an episode before its time.

    Attributes:
        number: the task of this episode.

    Raises:
        UserError: no tasks, or another number of contexts.
    """

    def __init__(
        self, environment: Environment, tasks: Sequence[Task], contexts: Float[ndarray, "K C"] | None = None,
        until_success: bool = True,
    ) -> None:  # fmt: skip
        if not tasks:
            raise UserError("episodes need at least one task; name some")
        super().__init__(environment, tasks[0])
        self.tasks, self.number = tuple(tasks), 0
        told = np.zeros((len(tasks), 0)) if contexts is None else contexts
        self._contexts: Float[ndarray, "K C"] = np.asarray(told, np.float32)
        if len(self._contexts) != len(tasks):
            raise UserError(f"{len(tasks)} tasks need as many contexts, not {len(self._contexts)}")
        space = self.observation_space
        assert isinstance(space, Box)
        low, high = self._contexts.min(axis=0), self._contexts.max(axis=0)
        self.observation_space = Box(
            np.concatenate([space.low, low]), np.concatenate([space.high, high]), dtype=np.float32
        )
        self._kept, self._until_success = False, until_success
        self._taken = self._held = 0

    def keep_task(self, kept: bool) -> None:
        """Whether the next episodes are of the same task; otherwise a task is drawn for each."""
        self._kept = kept

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float[ndarray, " O"], dict[str, Any]]:
        """Draw a task, and a start from which it is still to be done; see `TaskEnv.reset`."""
        gymnasium.Env.reset(self, seed=seed)  # before anything is drawn
        if not self._kept:
            self.number = int(self.np_random.integers(len(self.tasks)))
        self.task = self.tasks[self.number]
        self._taken = self._held = 0
        obs, report = super().reset(options=options)
        return self._told(obs), report

    def step(
        self, action: Float[ndarray, " A"]
    ) -> tuple[Float[ndarray, " O"], float, bool, bool, dict[str, Any]]:
        """Hold an action for one control step; see `TaskEnv.step`.

        Raises:
            TaskError: the action has not A finite columns.
        """
        try:
            obs, reward, _, _, report = super().step(action)
        except TaskError:
            if np.shape(action) != self.action_space.shape or not np.isfinite(action).all():
                raise
            ended = self.scene.live
            return self._told(self._obs), 0.0, ended, not ended, {"success": False}
        self._taken += 1
        self._held = self._held + 1 if report["success"] else 0
        done = self._until_success and self._held >= DEFAULT_HOLD
        return self._told(obs), reward, False, done or self._taken >= self.world_spec.episode_steps, report

    def _told(self, obs: Float[ndarray, " P"]) -> Float[ndarray, " O"]:
        return np.concatenate([obs, self._contexts[self.number]]).astype(np.float32)
