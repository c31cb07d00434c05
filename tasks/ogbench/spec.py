"""Observation columns of a workcell."""

from dataclasses import dataclass

import mujoco
import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.ogbench.cells import Cell
from tasks.spec import EnvSpec, Fixture, Variable

CONTROL_DT = 0.05

HAND, GRIPPER, HAND_VELOCITY, TURN_VELOCITY, GRIPPER_VELOCITY, AXES = 0, 3, 4, 7, 8, 9
"""First columns of each kind; after them come vectors to handles, fixtures and lights."""

FIRST_VECTOR = 18

HAND_RANGE = ((0.15, 0.70), (-0.45, 0.45), (0.0, 0.45))
"""Along x, y and z (m): 10 cm beyond where actions lead the hand."""

WALLS = ((0.22, 0.63), (-0.38, 0.38), (0.02, 0.35))
"""Between which the cube is, along x, y and z (m)."""

ACTIONS = (
    *(Variable(f"hand_{axis}", "5 cm", -1.0, 1.0) for axis in "xyz"),
    Variable("turn", "0.3 rad", -1.0, 1.0),
    Variable("close", "1", -1.0, 1.0),
)
"""How far the hand shall go from where it is, turn, and close."""

CUBE = (
    ("cube_x", "m", *WALLS[0]), ("cube_y", "m", *WALLS[1]), ("cube_z", "m", *WALLS[2]),
    ("cube_yaw_cos", "1", -1.0, 1.0), ("cube_yaw_sin", "1", -1.0, 1.0),
)  # fmt: skip
"""Name, unit and range of the cube's numbers: cosine and sine are of four times its yaw, as its sides are alike."""

_SLACK = 0.1
"""Soft limits give by less than this share of the range."""


@dataclass(frozen=True)
class Rail:
    """A slide or a button.

    Attributes:
        name: of the fixture.
        joint: of the model.
        site: that the hand touches.
        lights: numbers of the lights that its motion depends on or changes.
    """

    name: str
    joint: str
    site: str
    lights: tuple[int, ...]


def rails(cell: Cell) -> list[Rail]:
    """Everything of a cell that moves along a line."""
    pressed = [
        Rail(name, f"buttonbox_joint_{i}", f"btntop_{i}", cell.changed_by(i))
        for i, name in enumerate(cell.buttons)
    ]
    return pressed + [Rail(one.name, f"{one.name}_slide", one.site, (one.lock,)) for one in cell.slides]


def spec(name: str, cell: Cell, model: mujoco.MjModel) -> EnvSpec:
    """The spec of a workcell.

    Args:
        name: of the environment.
        cell: what is in it.
        model: the physics.
    """
    lines = rails(cell)
    things = [*(("cube",) if cell.cube else ()), *(rail.name for rail in lines)]
    observed = [
        *_arm(),
        *(Variable(f"hand_to_{thing}_{a}", "m", -1.0, 1.0) for thing in things for a in "xyz"),
    ]
    light = len(observed)
    observed += [Variable(one, "1", 0.0, 1.0) for one in cell.lights]
    fixtures: list[Fixture] = []
    for k, thing in enumerate(things):
        at = FIRST_VECTOR + 3 * k
        rail = next((one for one in lines if one.name == thing), None)
        parts = _rail(rail, model) if rail else CUBE
        linked = tuple(light + number for number in rail.lights) if rail else ()
        for part, unit, low, high in parts:
            here, slack = len(observed), _SLACK * (high - low)
            fixtures.append(Fixture(part, here, here + 1, (at, at + 1, at + 2), low, high, unit, linked))
            observed.append(Variable(part, unit, low - slack, high + slack))
            observed.append(Variable(f"{part}_velocity", f"{unit}/s", -50.0, 50.0))
    return EnvSpec(
        name=name, observation=tuple(observed), action=ACTIONS, fixtures=tuple(fixtures), control_dt=CONTROL_DT,
        episode_steps=cell.steps, hand=(HAND, HAND + 1, HAND + 2),
        hand_velocity=(HAND_VELOCITY, HAND_VELOCITY + 1, HAND_VELOCITY + 2), hand_actions=(0, 1, 2),
        arm=(GRIPPER, TURN_VELOCITY, GRIPPER_VELOCITY, *range(AXES, AXES + 9)), axes=tuple(range(AXES, AXES + 9)),
    )  # fmt: skip


def lights_of(described: EnvSpec, cell: Cell) -> tuple[int, ...]:
    """Columns of the lights."""
    return tuple(described.index(name) for name in cell.lights)


def _arm() -> list[Variable]:
    return [
        *(Variable(f"hand_{axis}", "m", *ends) for axis, ends in zip("xyz", HAND_RANGE, strict=True)),
        Variable("gripper", "1", 0.0, 1.0),
        *(Variable(f"hand_{axis}_velocity", "m/s", -10.0, 10.0) for axis in "xyz"),
        Variable("hand_turn_velocity", "rad/s", -50.0, 50.0),
        Variable("gripper_velocity", "1/s", -50.0, 50.0),
        *(Variable(f"hand_axis_{own}_{axis}", "1", -1.01, 1.01) for own in "xyz" for axis in "xyz"),
    ]


def _rail(rail: Rail, model: mujoco.MjModel) -> list[tuple[str, str, float, float]]:
    low, high = model.joint(rail.joint).range.tolist()
    return [(rail.name, "m", low, high)]


def vector_columns(described: EnvSpec) -> Float[ndarray, "n 3"]:
    """Columns of the vectors to handles, in their order."""
    return np.array(sorted({fixture.handle for fixture in described.fixtures}))
