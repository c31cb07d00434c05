"""What two tasks of dm_control reward, for many states at once.

Tassa et al. (2018), "DeepMind Control Suite". The simulator is the model, so observations are only what rewards
need.
"""

from collections.abc import Callable

import mujoco
import numpy as np
import torch
from jaxtyping import Float
from mujoco import rollout
from numpy import ndarray
from torch import Tensor

Observe = Callable[[Float[ndarray, "*b S"]], Float[ndarray, "*b O"]]
"""States to observations."""

Reward = Callable[[Float[Tensor, "*b O"], Float[Tensor, "*b A"]], Float[Tensor, "*b"]]
"""Of the observation that an action has led to, and the action."""


def see_cartpole(model: mujoco.MjModel) -> Observe:
    """Place of the cart (m), cosine of the pole's angle, its speed (rad/s)."""

    def observe(states: Float[ndarray, "*b S"]) -> Float[ndarray, "*b O"]:
        _, cart, hinge, _, speed = np.moveaxis(states, -1, 0)
        return np.stack([cart, np.cos(hinge), speed], axis=-1).astype(np.float32)

    return observe


def see_walker(model: mujoco.MjModel) -> Observe:
    """Height of the torso (m), cosine of its tilt, speed of the whole (m/s).

    The first two are joints. The last is a sensor, which a step reads before it moves anything.
    """
    pool, scratch = rollout.Rollout(nthread=0), mujoco.MjData(model)
    torso = float(model.body("torso").pos[2])
    sensor = model.sensor("torso_subtreelinvel").adr[0]

    def observe(states: Float[ndarray, "*b S"]) -> Float[ndarray, "*b O"]:
        flat = np.ascontiguousarray(states.reshape(-1, states.shape[-1]))
        sensed = pool.rollout(model, scratch, flat, np.zeros((len(flat), 1, model.nu)))[1]
        speed = sensed[:, 0, sensor].reshape(states.shape[:-1])
        height, tilt = torso + states[..., 1], states[..., 3]
        return np.stack([height, np.cos(tilt), speed], axis=-1).astype(np.float32)

    return observe


def swing_up(obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"]) -> Float[Tensor, "*b"]:
    """The pole up and slow, the cart in the middle, little done."""
    cart, cosine, speed = obs.unbind(dim=-1)
    idle = (1 - action[..., 0] ** 2).clamp(min=0)
    return (cosine + 1) / 2 * (4 + idle) / 5 * (1 + _near(speed / 5)) / 2 * (1 + _near(cart / 2)) / 2


def walk(obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"]) -> Float[Tensor, "*b"]:
    """The torso high and upright, and on its way at 1 m/s or faster."""
    height, cosine, speed = obs.unbind(dim=-1)
    standing = _near((1.2 - height).clamp(min=0) / 0.6)
    stand = (3 * standing + (1 + cosine) / 2) / 4
    return stand * (5 * speed.clamp(0, 1) + 1) / 6


def _near(gap: Tensor) -> Tensor:
    """dm_control's `tolerance`: 1 without a gap, a tenth at a gap of 1."""
    return torch.pow(0.1, gap**2)
