"""Observation columns of a Meta-World scene."""

from dataclasses import dataclass
from typing import Any

import mujoco

from tasks.metaworld.scenes import SceneLayout
from tasks.spec import EnvSpec, Fixture, Variable

REPEAT = 5
"""Control steps of Meta-World for which one action is held; its own last 12.5 ms."""

STEPS = 500
"""Control steps of Meta-World in an episode."""

HAND, GRIPPER, HAND_VELOCITY, GRIPPER_VELOCITY, DRAWN, HANDLE = 0, 3, 4, 7, 8, 11
"""First columns of each kind; after them position and velocity of each fixture."""

FIRST_FIXTURE = 14

HAND_RANGE = ((-0.525, 0.525), (0.348, 1.025), (-0.0525, 0.7))
"""Along x, y and z (m), to which Meta-World clips what it shows."""

_SLACK = 0.1
"""Soft joint limits give by less than this share of the range."""


def spec(name: str, layout: SceneLayout, theirs: Any) -> EnvSpec:
    """The spec of a scene.

    Args:
        name: of the environment.
        layout: of the scene.
        theirs: Meta-World's environment of one of its tasks.
    """
    observed = [
        *(Variable(f"hand_{axis}", "m", *ends) for axis, ends in zip("xyz", HAND_RANGE, strict=True)),
        Variable("gripper", "0.1 m", 0.0, 1.0),
        *(Variable(f"hand_{axis}_velocity", "m/s", -10.0, 10.0) for axis in "xyz"),
        Variable("gripper_velocity", "0.1 m/s", -10.0, 10.0),
        *(Variable(f"hand_drawn_{axis}", "m", -1.0, 1.0) for axis in "xyz"),
        *(Variable(f"hand_to_handle_{axis}", "m", -2.0, 2.0) for axis in "xyz"),
    ]
    fixtures = []
    for fixture, slot in zip(layout.fixtures, joint_columns(theirs.model), strict=True):
        at, slack = len(observed), _SLACK * (slot.high - slot.low)
        handle = (HANDLE, HANDLE + 1, HANDLE + 2)
        fixtures.append(Fixture(fixture, at, at + 1, handle, slot.low, slot.high, slot.unit))
        observed.append(Variable(fixture, slot.unit, slot.low - slack, slot.high + slack))
        observed.append(Variable(f"{fixture}_velocity", slot.speed_unit, -20.0, 20.0))
    moves = [Variable(f"hand_{axis}", f"{REPEAT} cm", -1.0, 1.0) for axis in "xyz"]
    return EnvSpec(
        name=name,
        observation=tuple(observed),
        action=(*moves, Variable("close", "1", -1.0, 1.0)),
        fixtures=tuple(fixtures),
        control_dt=REPEAT * float(theirs.dt),
        episode_steps=STEPS // REPEAT,
        hand=(HAND, HAND + 1, HAND + 2),
        hand_velocity=(HAND_VELOCITY, HAND_VELOCITY + 1, HAND_VELOCITY + 2),
        hand_actions=(0, 1, 2),
        arm=(GRIPPER, GRIPPER_VELOCITY, DRAWN, DRAWN + 1, DRAWN + 2),
    )


FREE = (
    ("m", "m/s", -0.5, 0.5), ("m", "m/s", 0.3, 1.1), ("m", "m/s", 0.0, 0.5),
    ("1", "rad/s", -1.0, 1.0), ("1", "rad/s", -1.0, 1.0), ("1", "rad/s", -1.0, 1.0),
)  # fmt: skip
"""Unit, unit of its speed and range of x, y, z and the vector part of the quaternion of a thing that lies free."""

SHIFT = 0.1
"""A thing that lies free is displaced by at most this (m), on the table."""


@dataclass(frozen=True)
class JointColumns:
    """One fixture's numbers.

    Attributes:
        position: column of a state that holds it.
        velocity: column of a state that holds its speed.
        dof: its place among the velocities.
        unit: of the position.
        speed_unit: of the speed.
        low: least position.
        high: greatest position.
        shift: how far it may be displaced; None for anywhere in its range.
    """

    position: int
    velocity: int
    dof: int
    unit: str
    speed_unit: str
    low: float
    high: float
    shift: float | None = None


def joint_columns(model: mujoco.MjModel) -> list[JointColumns]:
    """Of all joints that are not the robot's: these come after its."""
    found = []
    for joint in range(model.joint("l_close").id + 1, model.njnt):
        place, dof = int(model.jnt_qposadr[joint]), int(model.jnt_dofadr[joint])
        kind = model.jnt_type[joint]
        if kind == mujoco.mjtJoint.mjJNT_FREE:
            found += _free(model.nq, place, dof)
            continue
        unit = "rad" if kind == mujoco.mjtJoint.mjJNT_HINGE else "m"
        low, high = model.jnt_range[joint].tolist()
        found.append(JointColumns(1 + place, 1 + model.nq + dof, dof, unit, f"{unit}/s", low, high))
    return found


def _free(nq: int, place: int, dof: int) -> list[JointColumns]:
    """Six of the seven positions: the quaternion's scalar part follows from the others."""
    made = []
    for k, ends in enumerate(FREE):
        column = 1 + place + (k if k < 3 else k + 1)
        made.append(JointColumns(column, 1 + nq + dof + k, dof + k, *ends, shift=SHIFT if k < 2 else 0.0))
    return made
