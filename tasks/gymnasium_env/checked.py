"""Wrapper that checks a Gymnasium environment against its spaces and the API."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from jaxtyping import Float32
from numpy import ndarray

from tasks.errors import TaskError

OLDER = "as in the older Gym API; gymnasium.farama.org/introduction/migration_guide tells what to change"


class CheckedEnv(gymnasium.Wrapper[ndarray, Any, Any, Any]):
    """Observations as one row of float32 that nobody else writes to; rewards as a finite float.

    Args:
        env: its observations are boxes, or dictionaries or tuples of boxes.
        name: of the environment, for messages.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], name: str) -> None:
        super().__init__(env)
        self._name, self._space = name, env.observation_space
        self.observation_space: Any = spaces.flatten_space(self._space)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float32[ndarray, " O"], dict[str, Any]]:
        """As Gymnasium's.

        Raises:
            TaskError: it raises, follows an older API, or gives an observation that is not of its space.
        """
        with self._told("reset"):
            found: Any = self.env.reset(seed=seed, options=options)
        if not (isinstance(found, tuple) and len(found) == 2 and isinstance(found[1], Mapping)):
            raise TaskError(f"{self._name}: reset gives no pair of observation and info, {OLDER}")
        return self._row(found[0], "reset"), dict(found[1])

    def step(self, action: Any) -> tuple[Float32[ndarray, " O"], float, bool, bool, dict[str, Any]]:
        """As Gymnasium's.

        Raises:
            TaskError: it raises, follows an older API, or gives an observation that is not of its space, or a
                reward that is no finite number.
        """
        with self._told("step"):
            found: Any = self.env.step(action)
        if not (isinstance(found, tuple) and len(found) == 5):
            count = f"{len(found)} values" if isinstance(found, tuple) else type(found).__name__
            raise TaskError(f"{self._name}: step gives {count} instead of five values, {OLDER}")
        obs, reward, terminated, truncated, info = found
        row = self._row(obs, "step")
        return row, self._reward(reward, row), bool(terminated), bool(truncated), info

    def _row(self, obs: Any, where: str) -> Float32[ndarray, " O"]:
        try:
            flat = spaces.flatten(self._space, obs) if not isinstance(self._space, spaces.Box) else obs
            row = np.array(flat, np.float32).reshape(-1)
        except (TypeError, ValueError, KeyError, IndexError, AttributeError) as problem:
            line = f"{self._name}: {where} gives an observation that is not of its space: {said(problem)}"
            raise TaskError(line) from problem
        if row.shape != self.observation_space.shape:
            size = (self.observation_space.shape or (0,))[0]
            raise TaskError(
                f"{self._name}: {where} gives {row.size} numbers, its observation_space says {size}"
            )
        return row

    def _reward(self, reward: Any, row: Float32[ndarray, " O"]) -> float:
        try:
            value = float(np.asarray(reward, np.float64).reshape(()))
        except (TypeError, ValueError) as problem:
            line = f"{self._name}: step gives a reward that is not one number: {said(problem)}"
            raise TaskError(line) from problem
        if not np.isfinite(value) and np.isfinite(row).all():  # where it diverged, the episode is over
            raise TaskError(f"{self._name}: step gives the reward {value}; rewards must be finite")
        return value

    @contextmanager
    def _told(self, where: str) -> Iterator[None]:
        try:
            yield
        except TaskError:
            raise
        except Exception as problem:
            raise TaskError(f"{self._name}: {where} raised {said(problem)}") from problem


def said(problem: BaseException) -> str:
    """The kind of an error and what it says, in a line."""
    text = " ".join(str(problem).split())
    kind = "" if isinstance(problem, gymnasium.error.Error) else f"{type(problem).__name__}: "
    return f"{kind}{text[:300]}"
