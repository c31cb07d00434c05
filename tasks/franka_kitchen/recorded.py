"""States from what others have recorded of FrankaKitchen-v1: its 59 numbers are all positions and velocities."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.environment import Recorded
from tasks.franka_kitchen.columns import ARM, CONTROL_DT, QPOS, QVEL

SEEN = np.concatenate([
    np.arange(ARM), QPOS + np.arange(ARM), np.arange(ARM, QPOS), QPOS + np.arange(ARM, QVEL),
])  # fmt: skip
"""Which position or velocity each of the environment's 59 numbers is."""


def states(seen: Float[ndarray, "n 59"]) -> Float[ndarray, "n S"]:
    """The states of an episode, from its first step on; noise in what was recorded stays in them."""
    found = np.zeros((len(seen), 1 + QPOS + QVEL))
    found[:, 0] = np.arange(len(seen)) * CONTROL_DT
    found[:, 1 + SEEN] = seen
    return found


RECORDED = Recorded(len(SEEN), states)
