"""The simulator of FrankaKitchen-v1, without its observation noise."""

from importlib.util import find_spec
from pathlib import Path

import mujoco
import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.errors import TaskError
from tasks.franka_kitchen.inverse_kinematics import FrankaKinematics, hand_controller
from tasks.franka_kitchen.spec import ARM, CONTROL_DT, QPOS, QVEL, position, spec, velocity
from tasks.simulator import Look, Simulator

__all__ = ["INITIAL", "make_scene", "spec"]

INITIAL = (
    1.48388023e-01, -1.76848573e00, 1.84390296e00, -2.47685760e00, 2.60252026e-01, 7.12533105e-01,
    1.59515394e00, 4.79267505e-02, 3.71350919e-02, -2.66279850e-04, -5.18043486e-05, 3.12877220e-05,
    -4.51199853e-05, -3.90842156e-06, -4.22629655e-05, 6.28065475e-05, 4.04984708e-05, 4.62730939e-04,
    -2.26906415e-04, -4.65501369e-04, -6.44129196e-03, -1.77048263e-03, 1.08009684e-03, -2.69397440e-01,
    3.50383255e-01, 1.61944683e00, 1.00618764e00, 4.06395120e-03, -6.62095997e-03, -2.68278933e-04,
)  # fmt: skip
"""Positions at the environment's reset; everything is at rest."""

START_NOISE = 0.05
"""The arm's joints start within this (rad) of the environment's reset, so that episodes differ."""

SPEED = 2.0
"""Speed of a joint (rad/s or m/s) that an action of 1 asks for."""

COARSE = 0.016
"""Time step (s) in which the simulator is planned with; the environment's own is 0.002."""

POSITION_BOUND = np.array(
    [[-2.9, -1.8, -2.9, -3.1, -2.9, 0.0, -2.9, 0.0, 0.0], [2.9, 1.8, 2.9, 0.0, 2.9, 3.8, 2.9, 0.04, 0.04]]
)
"""Least and greatest joint position that the environment lets an action ask for."""


def make_scene(locked: tuple[str, ...] = ()) -> Simulator:
    """The Franka kitchen; the fixtures named in `locked` rest where they are and cannot be moved.

    Raises:
        TaskError: no such fixture, or gymnasium-robotics is not installed.
    """
    return _scene(locked, coarse=_scene(locked, timestep=COARSE))


def _scene(
    locked: tuple[str, ...], *, timestep: float | None = None, coarse: Simulator | None = None
) -> Simulator:
    """The kitchen in the environment's own time step, or in another one."""
    model = load_model()
    model.opt.timestep = timestep or model.opt.timestep
    described = spec()
    for name in locked:
        dof = velocity(described.fixture(name).name)
        model.dof_damping[dof] = 1e5
        model.dof_armature[dof] = 1e3
    kinematics = FrankaKinematics(model)
    low = np.array([variable.low for variable in described.observation])
    high = np.array([variable.high for variable in described.observation])

    def observe(states: Float[ndarray, "*b S"]) -> Float[ndarray, "*b O"]:
        return np.minimum(np.maximum(kinematics.observe(states), low), high).astype(np.float32)

    columns = {fixture.name: 1 + position(fixture.name) for fixture in described.fixtures}
    return Simulator(
        model, described, observe, _command, _sample, look(), servo=_servo, columns=columns,
        hand_controller=hand_controller(kinematics, columns, locked), coarse=coarse,
    )  # fmt: skip


def _command(actions: Float[ndarray, "*b A"]) -> Float[ndarray, "*b U"]:
    """How far each joint shall go in one control step: worked out as the environment does, to the last bit."""
    return (actions.astype(np.float64) * SPEED) * CONTROL_DT


def _servo(commands: Float[ndarray, "*b U"], states: Float[ndarray, "*b S"]) -> Float[ndarray, "*b U"]:
    """Joint positions to hold for one control step."""
    low, high = POSITION_BOUND
    return np.minimum(np.maximum(states[..., 1 : 1 + ARM] + commands, low), high)


def _sample(rng: np.random.Generator, n: int) -> Float[ndarray, "n S"]:
    """The environment's reset, with the arm a little off."""
    states = np.zeros((n, 1 + QPOS + QVEL))
    states[:, 1 : 1 + QPOS] = INITIAL
    states[:, 1:8] += rng.uniform(-START_NOISE, START_NOISE, (n, 7))
    return states


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


_FILE = "envs/assets/kitchen_franka/kitchen_assets/kitchen_env_model.xml"


def load_model() -> mujoco.MjModel:
    """The environment's MuJoCo model.

    Raises:
        TaskError: gymnasium-robotics is not installed, or brings no such model.
    """
    found = find_spec("gymnasium_robotics")
    if found is None or not found.submodule_search_locations:
        raise TaskError("franka_kitchen needs gymnasium-robotics: pip install 'mbtransfer[robotics]'")
    path = Path(next(iter(found.submodule_search_locations))) / _FILE
    if not path.is_file():
        raise TaskError(f"franka_kitchen: {path} is missing; pip install 'mbtransfer[robotics]' again")
    return mujoco.MjModel.from_xml_path(str(path))
