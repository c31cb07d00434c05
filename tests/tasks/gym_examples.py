"""Environments of a user's own, as `gym:FILE.py:CLASS` finds them; not a test."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Tuple
from gymnasium.wrappers import (
    FrameStackObservation,
    NormalizeObservation,
    RescaleAction,
    StickyAction,
    TimeLimit,
)


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


class Whole(Walk):
    """Sees whole numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = Box(-100, 100, (2,), np.int64)  # type: ignore[assignment]

    def _seen(self) -> Any:
        return np.array([round(10 * self.at), self.steps])


class Bytes(Walk):
    """Sees a few bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = Box(0, 255, (2,), np.uint8)  # type: ignore[assignment]

    def _seen(self) -> Any:
        return np.array([128 + 10 * self.at, self.steps], np.uint8)


class Listed(Walk):
    """Gives a list of Python numbers."""

    def _seen(self) -> Any:
        return [self.at, self.steps / 10]


class Still(Walk):
    """One number can only be 3."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = Box(np.array([-9.0, 3.0]), np.array([9.0, 3.0]), dtype=np.float64)

    def _seen(self) -> Any:
        return np.array([self.at, 3.0])


class Nested(Walk):
    """Parts within parts."""

    def __init__(self) -> None:
        super().__init__()
        box = Box(-5.0, 5.0, (1,), np.float64)
        self.observation_space = Dict({"a": Tuple((box, Dict({"b": box}))), "c": Box(0, 1, (1, 1))})  # type: ignore[assignment]

    def _seen(self) -> Any:
        return {
            "a": (np.array([self.at]), {"b": np.array([self.steps / 10])}),
            "c": np.zeros((1, 1), np.float32),
        }


class Choice(Walk):
    """A choice among its parts."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = Dict({"at": Box(-5.0, 5.0, (1,)), "lamp": Discrete(2)})  # type: ignore[assignment]


class Choices(Walk):
    """Several choices at once."""

    def __init__(self) -> None:
        super().__init__()
        self.action_space = MultiDiscrete([2, 3])  # type: ignore[assignment]


class Uneven(Walk):
    """Two rows of actions, each with bounds of its own; the second column is what pushes."""

    def __init__(self) -> None:
        super().__init__()
        high = np.array([[1.0, 2.0], [10.0, 0.5]], np.float32)
        self.action_space = Box(np.array([[0.0, -1.0], [-10.0, -0.25]], np.float32), high, dtype=np.float32)

    def step(self, action: np.ndarray) -> Any:
        assert action.shape == (2, 2) and action in self.action_space
        return super().step(action[:, 1] - 0.5)


class Buffered(Walk):
    """Writes every observation into the same array."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = Box(-np.inf, np.inf, (2,), np.float32)
        self.buffer = np.zeros(2, np.float32)

    def _seen(self) -> Any:
        self.buffer[:] = self.at, self.steps / 10
        return self.buffer


class Talkative(Walk):
    """Prints as it goes."""

    def step(self, action: np.ndarray) -> Any:
        print("stepping", action)
        return super().step(action)


class Scalars(Walk):
    """Gives NumPy's scalars, and a reward in an array."""

    def step(self, action: np.ndarray) -> Any:
        obs, reward, terminated, truncated, info = super().step(action)
        return obs, np.array([reward], np.float32), np.bool_(terminated), np.bool_(truncated), info


class Worthless(Walk):
    """Its rewards are no numbers after a few steps."""

    def step(self, action: np.ndarray) -> Any:
        obs, reward, *rest = super().step(action)
        return obs, float("nan") if self.steps > 2 else reward, *rest


class Brief(Walk):
    """Over at once."""

    def step(self, action: np.ndarray) -> Any:
        obs, reward, _, truncated, info = super().step(action)
        return obs, reward, True, truncated, info


class Third(Walk):
    """Cut off after three steps."""

    def step(self, action: np.ndarray) -> Any:
        obs, reward, _, _, info = super().step(0.01 * action)
        return obs, reward, False, self.steps >= 3, info


class Fragile(Walk):
    """Breaks as it is stepped."""

    def step(self, action: np.ndarray) -> Any:
        raise RuntimeError("the motor\nis on fire")


class Stubborn(Walk):
    """Breaks as it is reset."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        raise RuntimeError("no floor")


class Older(Walk):
    """Steps as Gym did: four values."""

    def step(self, action: np.ndarray) -> Any:
        obs, reward, terminated, _, info = super().step(action)
        return obs, reward, terminated, info


class Oldest(Walk):
    """Is reset as Gym was: nothing but the observation."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return super().reset(seed=seed)[0]


class Unseeded(Walk):
    """Knows of no seeds."""

    def reset(self) -> Any:  # type: ignore[override]
        return super().reset()


class Longer(Walk):
    """Sees more than it says."""

    def _seen(self) -> Any:
        return np.zeros(3)


class Noisy(Walk):
    """What an action does is drawn at random."""

    def step(self, action: np.ndarray) -> Any:
        return super().step(action + self.np_random.normal(0.0, 0.1, 1))


def limited() -> Any:
    """Cut off by a wrapper."""
    return TimeLimit(Walk(0.01), 3)


def stacked() -> Any:
    """Sees the last three observations."""
    return FrameStackObservation(Walk(), 3)


def rescaled() -> Any:
    """Its actions from -2 to 6."""
    return RescaleAction(Walk(), np.float32(-2.0), np.float32(6.0))


def normalised() -> Any:
    """Scales what it sees by all that it has seen so far."""
    return NormalizeObservation(Walk())


def sticky() -> Any:
    """Now and then does again what it did before."""
    return StickyAction(Walk(), 0.5)


def sticky_reacher() -> Any:
    """MuJoCo that now and then does again what it did before."""
    return StickyAction(gymnasium.make("Reacher-v5"), 0.01)
