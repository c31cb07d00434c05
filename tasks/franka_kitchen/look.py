"""How the Franka kitchen looks in pictures: seen from behind the robot's shoulder, as its authors show it."""

import mujoco
import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.franka_kitchen.model import load_model
from tasks.scene import Look

CENTRE = (-0.2, 0.5, 2.0)
"""What the camera looks at (m), as in FrankaKitchen-v1's own pictures; so are the next two."""

DISTANCE = 2.2
"""How far the camera is from there (m)."""

AZIMUTH, ELEVATION = 70.0, -35.0
"""Where the camera looks (degrees)."""


def look() -> Look:
    """The physics with a camera; nothing changes its look."""
    return Look(_model, lambda model, state: None)


def _model() -> mujoco.MjModel:
    """The first of its cameras is put there: where the file has it, it sees little but the counter."""
    model = load_model()
    camera = model.camera(0)
    camera.pos[:], axes = _view()
    mujoco.mju_mat2Quat(camera.quat, axes.T.flatten())
    return model


def _view() -> tuple[Float[ndarray, "3"], Float[ndarray, "3 3"]]:
    """Place of the camera, and its axes to the right, up and backwards."""
    azimuth, elevation = np.radians([AZIMUTH, ELEVATION])
    flat = np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
    ahead = np.cos(elevation) * flat + np.sin(elevation) * np.array([0.0, 0.0, 1.0])
    right = np.cross(flat, [0.0, 0.0, 1.0])
    return np.array(CENTRE) - DISTANCE * ahead, np.stack([right, np.cross(right, ahead), -ahead])
