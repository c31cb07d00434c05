"""Which spaces we can plan in: boxes of numbers, made flat; everything else is refused in one line."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import FlattenObservation
from jaxtyping import Float
from numpy import ndarray

from tasks.errors import TaskError

LARGEST = 2000
"""Most columns of an observation: beyond it stand pictures, and we plan from numbers."""


def flat(env: gymnasium.Env[Any, Any], name: str) -> gymnasium.Env[Any, Any]:
    """The environment with its observation as one row of numbers.

    Raises:
        TaskError: actions that are not a bounded Box, or observations that are not boxes, or pictures.
    """
    actions, seen = env.action_space, env.observation_space
    if not isinstance(actions, spaces.Box):
        raise TaskError(
            f"{name}: its actions are {_kind(actions)}; planning needs numbers within bounds, a Box"
        )
    if not (actions.is_bounded() and np.issubdtype(actions.dtype, np.floating)):
        raise TaskError(
            f"{name}: its actions are {_kind(actions)}; planning needs finite bounds of real numbers, "
            "as gymnasium.wrappers.RescaleAction gives them"
        )
    if not _boxes(seen):
        raise TaskError(f"{name}: its observations are {_kind(seen)}; a Box, or a Dict of boxes, is needed")
    if (size := spaces.flatdim(seen)) > LARGEST:
        raise TaskError(
            f"{name}: observations of {size} numbers are pictures; planning needs at most {LARGEST}"
        )
    plain = isinstance(seen, spaces.Box) and len(seen.shape) == 1
    return env if plain else FlattenObservation(env)


def as_action(space: spaces.Box, action: Float[ndarray, " A"]) -> ndarray:
    """A row of numbers as the environment wants its action: within bounds, in its shape and type."""
    low, high = space.low.ravel(), space.high.ravel()
    shaped: ndarray = np.clip(action, low, high).astype(space.dtype).reshape(space.shape)
    return shaped


def _boxes(space: spaces.Space[Any]) -> bool:
    parts = space.spaces if isinstance(space, spaces.Dict | spaces.Tuple) else ()
    inner = list(parts.values()) if isinstance(parts, dict) else list(parts)
    return isinstance(space, spaces.Box) or (bool(inner) and all(map(_boxes, inner)))


def _kind(space: spaces.Space[Any]) -> str:
    text = " ".join(str(space).split())
    return text if len(text) <= 80 else f"{text[:77]}..."
