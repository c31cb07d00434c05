"""Where a scene's fixtures are among MuJoCo's positions and velocities: hinges, slides, and things that lie free."""

from dataclasses import dataclass

import mujoco

FREE = (
    ("m", "m/s", -0.5, 0.5), ("m", "m/s", 0.3, 1.1), ("m", "m/s", 0.0, 0.5),
    ("1", "rad/s", -1.0, 1.0), ("1", "rad/s", -1.0, 1.0), ("1", "rad/s", -1.0, 1.0),
)  # fmt: skip
"""Unit, unit of its speed and range of x, y, z and the vector part of the quaternion of a thing that lies free."""

SHIFT = 0.1
"""A thing that lies free is displaced by at most this (m), on the table."""


@dataclass(frozen=True)
class Slot:
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


def slots(model: mujoco.MjModel) -> list[Slot]:
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
        found.append(Slot(1 + place, 1 + model.nq + dof, dof, unit, f"{unit}/s", low, high))
    return found


def _free(nq: int, place: int, dof: int) -> list[Slot]:
    """Six of the seven positions: the quaternion's scalar part follows from the others."""
    made = []
    for k, ends in enumerate(FREE):
        column = 1 + place + (k if k < 3 else k + 1)
        made.append(Slot(column, 1 + nq + dof + k, dof + k, *ends, shift=SHIFT if k < 2 else 0.0))
    return made
