"""What is seen in a scene of Meta-World, column by column."""

from typing import Any

from tasks.metaworld.layouts import Layout
from tasks.metaworld.slots import slots
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


def spec(name: str, layout: Layout, theirs: Any) -> EnvSpec:
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
    for fixture, slot in zip(layout.fixtures, slots(theirs.model), strict=True):
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
