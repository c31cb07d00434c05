"""The Franka kitchen as a `Scene`: FrankaKitchen-v1 without the noise that it adds to what is seen."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.franka_kitchen.columns import ARM, CONTROL_DT, QPOS, QVEL, position, spec, velocity
from tasks.franka_kitchen.kinematics import Kinematics
from tasks.franka_kitchen.leading import lead
from tasks.franka_kitchen.look import look
from tasks.franka_kitchen.model import load_model
from tasks.scene import Scene

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


def make_scene(locked: tuple[str, ...] = ()) -> Scene:
    """The Franka kitchen; the fixtures named in `locked` rest where they are and cannot be moved.

    Raises:
        TaskError: no such fixture, or gymnasium-robotics is not installed.
    """
    return _scene(locked, coarse=_scene(locked, timestep=COARSE))


def _scene(locked: tuple[str, ...], *, timestep: float | None = None, coarse: Scene | None = None) -> Scene:
    """The kitchen in the environment's own time step, or in another one."""
    model = load_model()
    model.opt.timestep = timestep or model.opt.timestep
    described = spec()
    for name in locked:
        dof = velocity(described.fixture(name).name)
        model.dof_damping[dof] = 1e5
        model.dof_armature[dof] = 1e3
    kinematics = Kinematics(model)
    low = np.array([variable.low for variable in described.observation])
    high = np.array([variable.high for variable in described.observation])

    def observe(states: Float[ndarray, "*b S"]) -> Float[ndarray, "*b O"]:
        return np.minimum(np.maximum(kinematics.observe(states), low), high).astype(np.float32)

    columns = {fixture.name: 1 + position(fixture.name) for fixture in described.fixtures}
    return Scene(
        model, described, observe, _command, _sample, look(), servo=_servo, columns=columns,
        lead=lead(kinematics, columns, locked), coarse=coarse,
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
