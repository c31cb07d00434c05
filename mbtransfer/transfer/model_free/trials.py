"""Trials: several episodes of one task, of which an agent with a memory learns from one what helps in the next.

Duan et al. 2016, "RL2: fast reinforcement learning via slow reinforcement learning", section 2.2: a trial is some
episodes of one task, and the memory is kept from one to the next; Wang et al. 2016, "Learning to reinforcement learn".
The agent sees, beside the observation o_t, what it needs to find out which task it is in: its previous action, the
reward that followed, and whether an episode has just ended.
"""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.errors import UserError
from mbtransfer.transfer.model_free.task_episodes import TaskEpisodes


class Trials(gymnasium.Env[ndarray, ndarray]):
    """Trials of several episodes, each trial one `gymnasium` episode.

    Observations are [o, a, r, d]: o after the previous action a and its reward r, and d = 1 if o begins another episode
    of the trial, where a and r are those of the last step of the one before. At the start of a trial a, r and d are
    zero. Actions are from -1 to 1, relative to each column's range. The return of a trial is the sum over its episodes,
    so that it pays to explore in the first ones. For that sum episodes should go on after success: what follows would
    be a start from which everything is still to be done.

    Args:
        episodes: where tasks and episodes come from; one task is drawn for each trial.
        length: episodes of each trial.

    Attributes:
        steps: control steps taken so far.

    Raises:
        UserError: no episodes.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012

    def __init__(self, episodes: TaskEpisodes, length: int) -> None:
        if length < 1:
            raise UserError(f"a trial has at least one episode, not {length}")
        inner, actions = episodes.observation_space, episodes.action_space
        assert isinstance(inner, Box) and isinstance(actions, Box)
        self._episodes, self._length, self._number = episodes, length, 0
        self._middle, self._half = (actions.low + actions.high) / 2, (actions.high - actions.low) / 2
        self.steps = 0
        ones = np.ones(actions.shape, np.float32)
        low = np.concatenate([inner.low, -ones, [-np.inf, 0.0]]).astype(np.float32)
        high = np.concatenate([inner.high, ones, [np.inf, 1.0]]).astype(np.float32)
        self.observation_space = Box(low, high, dtype=np.float32)
        self.action_space = Box(-ones, ones, dtype=np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float[ndarray, " I"], dict[str, Any]]:
        """Begin a trial: draw a task, and the start of its first episode."""
        super().reset(seed=seed)
        self._number = 0
        self._episodes.keep_task(False)
        obs, report = self._episodes.reset(seed=seed, options=options)
        self._episodes.keep_task(True)
        return self._told(obs, np.zeros(self._half.shape), 0.0, False), report

    def step(
        self, action: Float[ndarray, " A"]
    ) -> tuple[Float[ndarray, " I"], float, bool, bool, dict[str, Any]]:
        """Hold an action for one control step; where it ends an episode, the next one of the trial begins."""
        unit = np.clip(action, -1.0, 1.0)
        obs, reward, terminated, truncated, report = self._episodes.step(self._middle + self._half * unit)
        self.steps += 1
        over = terminated or truncated
        self._number += over
        ended = self._number == self._length
        if over and not ended:
            obs, _ = self._episodes.reset()
        seen = self._told(obs, unit, reward, over and not ended)
        return seen, reward, ended and terminated, ended and not terminated, report

    def _told(self, obs: ndarray, action: ndarray, reward: float, begun: bool) -> Float[ndarray, " I"]:
        return np.concatenate([obs, action, [reward, float(begun)]]).astype(np.float32)
