"""Spec of a Gymnasium environment: column names and ranges."""

import math
from typing import Any

import gymnasium
import mujoco
import numpy as np
from gymnasium.spaces import Box
from jaxtyping import Float
from numpy import ndarray

from tasks.errors import TaskError
from tasks.spec import EnvSpec, Variable

TRIAL = (8, 25)
"""Episodes of a trial, and steps of each: random actions show which values are usual."""

HUGE = 1e6
"""Bounds beyond this say nothing about what is usual."""


def make_spec(env: gymnasium.Env[Any, Any], name: str, steps: int) -> EnvSpec:
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


_REACHER = ("cos_joint0", "cos_joint1", "sin_joint0", "sin_joint1", "target_x", "target_y",
            "joint0_velocity", "joint1_velocity", "target_to_fingertip_x", "target_to_fingertip_y")  # fmt: skip
_ARM = ("shoulder_pan", "shoulder_lift", "upper_arm_roll", "elbow_flex", "forearm_roll", "wrist_flex",
        "wrist_roll")  # fmt: skip
_PUSHER = (
    *_ARM, *(f"{joint}_velocity" for joint in _ARM),
    *(f"{thing}_{axis}" for thing in ("fingertip", "object", "goal") for axis in "xyz"),
)  # fmt: skip

_KNOWN = {
    "Pendulum-v1": ("cos_angle", "sin_angle", "angular_velocity"),
    "MountainCarContinuous-v0": ("position", "velocity"),
    "Reacher-v5": _REACHER,
    "Pusher-v5": _PUSHER,
}


def column_names(env: gymnasium.Env[Any, Any], name: str, size: int) -> tuple[str, ...]:
    """One name for each column: the environment's own, as documented, of the joints, or `obs_0`, `obs_1`, ...

    Raises:
        TaskError: the environment's `columns` do not fit what it observes.
    """
    inner = env.unwrapped
    known = _own(inner, name, size) or _KNOWN.get(inner.spec.id if inner.spec else "", ())
    if not known and isinstance(structure := getattr(inner, "observation_structure", None), dict):
        known = _of_joints(inner, structure)
    if len(known) == size == len(set(known)):
        return known
    return tuple(f"obs_{i}" for i in range(size))


def _own(inner: Any, name: str, size: int) -> tuple[str, ...]:
    """What the environment calls its columns; nothing where it has no such list of texts."""
    columns = getattr(inner, "columns", None)
    if not isinstance(columns, tuple | list) or not all(isinstance(one, str) for one in columns):
        return ()
    if not len(set(columns)) == len(columns) == size or not all(one.isidentifier() for one in columns):
        raise TaskError(
            f"{name}: `columns` must be {size} different words, one per number observed, not {columns!r}"
        )
    return tuple(columns)


def _of_joints(inner: Any, structure: dict[str, int]) -> tuple[str, ...]:
    """Positions and velocities of the joints, then the rest block by block: Gymnasium's own robots."""
    model = getattr(inner, "model", None)
    if not isinstance(model, mujoco.MjModel):
        return ()
    joints = [model.joint(i) for i in range(model.njnt)]
    at = [f"{joint.name}{_part(i, len(joint.qpos0))}" for joint in joints for i in range(len(joint.qpos0))]
    moving = [
        f"{joint.name}_velocity{_part(i, len(joint.damping))}"
        for joint in joints
        for i in range(len(joint.damping))
    ]
    rest = {key: n for key, n in structure.items() if key not in ("skipped_qpos", "qpos", "qvel")}
    skipped = structure.get("skipped_qpos", 0)
    return (*at[skipped:], *moving, *(f"{key}_{i}" for key, n in rest.items() for i in range(n)))


def _part(i: int, size: int) -> str:
    return f"_{i}" if size > 1 else ""
