"""The spec of a Gymnasium environment: names where there are any, ranges from its space or a short trial."""

import math
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from jaxtyping import Float
from numpy import ndarray

from tasks.gymnasium_env.columns import column_names
from tasks.spec import EnvSpec, Variable

TRIAL = (8, 25)
"""Episodes of a trial, and steps of each: random actions show which values are usual."""

HUGE = 1e6
"""Bounds beyond this say nothing about what is usual."""


def describe(env: gymnasium.Env[Any, Any], name: str, steps: int) -> EnvSpec:
    """What is seen and done; there are no fixtures and no hand.

    The usual range of a column is its bound where the space has one; elsewhere what 200 seeded random steps
    show, widened by half and rounded outward to one digit, so that machines agree on it.
    """
    seen, actions = env.observation_space, env.action_space
    assert isinstance(seen, Box) and isinstance(actions, Box)
    low, high = seen.low.astype(np.float64).ravel(), seen.high.astype(np.float64).ravel()
    open_ended = ~((np.abs(low) < HUGE) & (np.abs(high) < HUGE) & (low < high))
    if open_ended.any():
        least, most = _trial(env)
        low[open_ended], high[open_ended] = least[open_ended], most[open_ended]
    names = column_names(env, name, len(low))
    ends = zip(actions.low.ravel().tolist(), actions.high.ravel().tolist(), strict=True)
    return EnvSpec(
        name,
        tuple(Variable(*column) for column in zip(names, [""] * len(low), low.tolist(), high.tolist(), strict=True)),
        tuple(Variable(f"action_{i}", "", a, b) for i, (a, b) in enumerate(ends)),
        (), control_dt=_control_dt(env), episode_steps=steps,
    )  # fmt: skip


def _trial(env: gymnasium.Env[Any, Any]) -> tuple[Float[ndarray, " O"], Float[ndarray, " O"]]:
    """The usual range of each column."""
    env.action_space.seed(0)
    rows = list[ndarray]()
    for episode in range(TRIAL[0]):
        rows.append(env.reset(seed=episode)[0])
        for _ in range(TRIAL[1]):
            obs, _, terminated, truncated, _ = env.step(env.action_space.sample())
            rows.append(obs)
            if terminated or truncated:
                break
    seen = np.nan_to_num(np.asarray(rows, np.float64), posinf=HUGE, neginf=-HUGE)
    least, most = seen.min(axis=0), seen.max(axis=0)
    room = np.maximum((most - least) / 4, 1e-3)
    low = [_outward(x, math.floor) for x in (least - room).tolist()]
    high = [_outward(x, math.ceil) for x in (most + room).tolist()]
    return np.array(low), np.array(high)


def _outward(value: float, way: Any) -> float:
    """Rounded to one significant digit."""
    if value == 0.0:
        return 0.0
    digits = -math.floor(math.log10(abs(value)))
    return round(way(value * 10.0**digits) / 10.0**digits, max(0, digits))


def _control_dt(env: gymnasium.Env[Any, Any]) -> float:
    """Seconds of a control step: the environment's own, else those of a picture of its film, else 1."""
    if isinstance(own := getattr(env.unwrapped, "dt", None), int | float) and own > 0:
        return float(own)
    fps = (env.unwrapped.metadata or {}).get("render_fps")
    return 1.0 / fps if fps else 1.0
