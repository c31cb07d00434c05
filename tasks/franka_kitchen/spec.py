"""Observation columns of the Franka kitchen, and import of recorded states."""

from functools import cache

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.environment import Recorded
from tasks.spec import EnvSpec, Fixture, Variable

CONTROL_DT = 0.08
EPISODE_STEPS = 280
ARM = 9
"""Joints of the robot: seven of the arm, two of the fingers."""

JOINTS = 7
"""Joints of the arm, without the fingers."""

QPOS, QVEL = 30, 29
"""Positions and velocities of the model; the kettle's free joint has seven and six."""

_ARM_LIMITS = (
    (-3.0, 3.0), (-1.9, 1.9), (-3.0, 3.0), (-3.2, -0.3), (-3.0, 3.0), (-1.8, 2.3), (-3.0, 3.0),
    (-0.02, 0.07), (-0.02, 0.07),
)  # fmt: skip
"""A little beyond the joints' limits, which are soft."""

OBJECTS: tuple[tuple[str, str, float, float], ...] = (
    ("bottom_right_knob", "rad", -1.57, 0.0), ("bottom_right_burner", "m", -0.009, 0.0),
    ("bottom_knob", "rad", -1.57, 0.0), ("bottom_burner", "m", -0.009, 0.0),
    ("top_right_knob", "rad", -1.57, 0.0), ("top_right_burner", "m", -0.009, 0.0),
    ("top_knob", "rad", -1.57, 0.0), ("top_burner", "m", -0.009, 0.0),
    ("light_switch", "rad", -0.7, 0.0), ("light_block", "m", -0.05, 0.0),
    ("slide_cabinet", "m", 0.0, 0.44),
    ("left_hinge_cabinet", "rad", -1.57, 0.0), ("hinge_cabinet", "rad", 0.0, 1.57),
    ("microwave", "rad", -2.094, 0.0),
    ("kettle_x", "m", -1.0, 0.5), ("kettle_y", "m", -0.2, 1.2), ("kettle_z", "m", 1.4, 2.4),
    ("kettle_qw", "1", -1.0, 1.0), ("kettle_qx", "1", -1.0, 1.0), ("kettle_qy", "1", -1.0, 1.0),
    ("kettle_qz", "1", -1.0, 1.0),
)  # fmt: skip
"""Name, unit and range of each object's position, in the model's order from its tenth on."""

HANDLES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("bottom_knob", "knob2_site", ("bottom_knob", "bottom_burner")),
    ("top_knob", "knob4_site", ("top_knob", "top_burner")),
    ("light_switch", "light_site", ("light_switch", "light_block")),
    ("slide_cabinet", "slide_site", ("slide_cabinet",)),
    ("left_hinge_cabinet", "hinge_site1", ("left_hinge_cabinet",)),
    ("hinge_cabinet", "hinge_site2", ("hinge_cabinet",)),
    ("microwave", "microhandle_site", ("microwave",)),
    ("kettle", "kettle_site",
     ("kettle_x", "kettle_y", "kettle_z", "kettle_qx", "kettle_qy", "kettle_qz")),
)  # fmt: skip
"""Name of each handle, its site in the model, and the fixtures that it moves."""

HAND_SITE = "end_effector"
"""The point between the fingers."""

_SLACK = 0.1
"""Soft joint limits give by less than this share of the range."""


def position(name: str) -> int:
    """Place of an object's position among the model's 30."""
    return ARM + [row[0] for row in OBJECTS].index(name)


def velocity(name: str) -> int:
    """Place of its velocity among the model's 29: angular velocity for the kettle's quaternion, w left out."""
    place = position(name)
    return place - 1 if place > position("kettle_qw") else place


def _arm() -> list[Variable]:
    names = [*(f"joint{i}" for i in range(1, 8)), "right_finger", "left_finger"]
    units = ["rad"] * 7 + ["m"] * 2
    rows = list(zip(names, units, _ARM_LIMITS, strict=True))
    places = [Variable(name, unit, low, high) for name, unit, (low, high) in rows]
    return places + [Variable(f"{name}_velocity", f"{unit}/s", -20.0, 20.0) for name, unit, _ in rows]


def _objects() -> list[Variable]:
    places, speeds = [], []
    for name, unit, low, high in OBJECTS:
        slack = _SLACK * (high - low)
        places.append(Variable(name, unit, low - slack, high + slack))
        if name != "kettle_qw":
            turning = name.startswith("kettle_q")
            speeds.append(Variable(f"{name}_velocity", "rad/s" if turning else f"{unit}/s", -20.0, 20.0))
    return places + speeds


def _kinematic() -> list[Variable]:
    hand = [
        Variable("hand_x", "m", -1.3, 1.3), Variable("hand_y", "m", -1.0, 1.1),
        Variable("hand_z", "m", 1.0, 3.3),
    ]  # fmt: skip
    hand += [Variable(f"hand_{axis}_velocity", "m/s", -10.0, 10.0) for axis in "xyz"]
    hand += [Variable(f"hand_to_{name}_{axis}", "m", -3.0, 3.0) for name, _, _ in HANDLES for axis in "xyz"]
    return hand + [Variable(f"hand_axis_{own}_{axis}", "1", -1.01, 1.01) for own in "xyz" for axis in "xyz"]


@cache
def spec() -> EnvSpec:
    """The spec of the Franka kitchen."""
    first, hand = 2 * ARM, QPOS + QVEL
    turn = hand + 6 + 3 * len(HANDLES)
    axes = tuple(range(turn, turn + 9))
    fixtures = []
    for k, (_, _, names) in enumerate(HANDLES):
        at = hand + 6 + 3 * k
        for name in names:
            _, unit, low, high = OBJECTS[position(name) - ARM]
            columns = first + position(name) - ARM, first + QPOS - ARM + velocity(name) - ARM
            fixtures.append(Fixture(name, *columns, (at, at + 1, at + 2), low, high, unit))
    action = [Variable(f"joint{i}", "2 rad/s", -1.0, 1.0) for i in range(1, 8)]
    action += [Variable(name, "2 m/s", -1.0, 1.0) for name in ("right_finger", "left_finger")]
    return EnvSpec(
        name="franka_kitchen",
        observation=(*_arm(), *_objects(), *_kinematic()),
        action=tuple(action),
        fixtures=tuple(fixtures),
        hand=(hand, hand + 1, hand + 2),
        hand_velocity=(hand + 3, hand + 4, hand + 5),
        control_dt=CONTROL_DT,
        episode_steps=EPISODE_STEPS,
        arm=(*range(2 * ARM), *axes),
        axes=axes,
        angles=tuple(range(JOINTS)),
    )


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
