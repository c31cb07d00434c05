"""Environments of a user's own, as `gym:FILE.py:CLASS` finds them; not a test."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete
from gymnasium.wrappers import RescaleAction


class Walk(gymnasium.Env[np.ndarray, np.ndarray]):
    """A point that is pushed along a line; it is over when the point leaves [-1, 1]."""

    def __init__(self, speed: float = 0.25) -> None:
        self.observation_space = Box(-np.inf, np.inf, (2,), np.float64)
        self.action_space = Box(-1.0, 1.0, (1,), np.float32)
        self.speed = speed

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.at, self.steps = self.np_random.uniform(-0.5, 0.5), 0
        return self._seen(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.at, self.steps = self.at + self.speed * float(action[0]), self.steps + 1
        return self._seen(), -abs(self.at), abs(self.at) > 1, False, {}

    def _seen(self) -> np.ndarray:
        return np.array([self.at, self.steps / 10])


class Forgetful(Walk):
    """Starts elsewhere each time, whatever the seed."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        return super().reset(seed=None, options=options)


class Parts(Walk):
    """The same in a dictionary, with an action of two dimensions."""

    def __init__(self) -> None:
        super().__init__()
        box = Box(-5.0, 5.0, (1,), np.float64)
        self.observation_space = Dict({"at": box, "steps": box})  # type: ignore[assignment]
        self.action_space = Box(-1.0, 1.0, (1, 1), np.float32)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        assert action.shape == (1, 1)
        return super().step(action[0])

    def _seen(self) -> Any:
        return {"at": np.array([self.at]), "steps": np.array([self.steps / 10])}


class Pictures(Walk):
    """Seen through a camera."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = Box(0, 255, (64, 64, 3), np.uint8)


class Unbounded(Walk):
    """Takes any number."""

    def __init__(self) -> None:
        super().__init__()
        self.action_space = Box(-np.inf, np.inf, (1,), np.float32)


class Token(Walk):
    """Seen as one of three."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = Discrete(3)  # type: ignore[assignment]


class Broken(Walk):
    """Cannot be made."""

    def __init__(self) -> None:
        raise RuntimeError("no robot here")


def gentle_reacher() -> Any:
    """MuJoCo behind a wrapper: its states do not follow from the action alone as MuJoCo sees it."""
    return RescaleAction(gymnasium.make("Reacher-v5"), np.float32(-0.5), np.float32(0.5))


def number() -> int:
    """Makes no environment."""
    return 3


class Named(Walk):
    """Says what its columns are, and how long an episode is."""

    columns = ("place", "clock")
    max_episode_steps = 70


class Misnamed(Walk):
    """Forgot one of them."""

    columns = ("place",)


class Grid(Walk):
    """Means something else by the word."""

    columns = 8
