"""Simulations that diverge: found out, and marked by states that are not numbers."""

import mujoco
import numpy as np
from jaxtyping import Float
from numpy import ndarray

HUGE = 1e6
"""No position (m, rad) or velocity (m/s, rad/s) is meant to be so great; MuJoCo itself stops at 1e10."""


def keep_divergence(model: mujoco.MjModel) -> None:
    """Let a simulation that diverges stay so; by default MuJoCo quietly goes on from the model's first pose."""
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET


def marked(
    model: mujoco.MjModel, before: Float[ndarray, "B S"], after: Float[ndarray, "B S"], dt: float
) -> Float[ndarray, "B S"]:
    """`after`, with NaN in every row whose simulation diverged on the way from `before`.

    A roll-out stops where MuJoCo warns of a bad state, so that its clock falls short.

    Args:
        model: the physics; states begin with time, positions and velocities.
        before: states at the beginning of a control step.
        after: states at its end.
        dt: seconds in between.
    """
    moving = after[:, 1 : 1 + model.nq + model.nv]
    with np.errstate(invalid="ignore"):
        whole = np.abs(after[:, 0] - before[:, 0] - dt) < model.opt.timestep / 2
        sound = np.isfinite(after).all(axis=1) & whole & (np.abs(moving) < HUGE).all(axis=1)
    return after if sound.all() else np.where(sound[:, None], after, np.nan)


def stand_in(model: mujoco.MjModel, states: Float[ndarray, "B S"]) -> Float[ndarray, "B S"]:
    """States to step from: the model's first one for rows that have diverged, which stay marked whatever comes."""
    sound = np.isfinite(states).all(axis=1)
    if sound.all():
        return states
    rest = np.zeros(states.shape[1])
    rest[1 : 1 + model.nq] = model.qpos0
    return np.where(sound[:, None], states, rest)
