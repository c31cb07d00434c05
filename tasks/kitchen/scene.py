"""The simulator of the kitchen: spec, kinematics and start states."""

from functools import cache
from importlib.resources import files

import mujoco
import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.kitchen.visuals import dress, look_model
from tasks.simulator import Look, Simulator
from tasks.spec import EnvSpec, Fixture, Variable

CONTROL_DT = 0.1
EPISODE_STEPS = 60
HAND = ("hand_x", "hand_y", "hand_z")
FIXTURES = (
    "microwave", "hinge_cabinet", "slide_cabinet", "drawer", "light_switch",
    "left_knob", "right_knob", "tap", "kettle_x", "kettle_y",
)  # fmt: skip
REST = {"light_switch": -0.6, "tap": -0.6, "kettle_x": -0.12, "kettle_y": -0.12}
"""Where fixtures are in the morning; the others rest at zero: shut, or off."""

START_BOX = np.array([[-0.8, 0.8], [-0.24, -0.10], [0.28, 0.82]])
"""The hand starts in this box (m), where no door or drawer can be, however far it stands open."""

_GAIN = np.array([0.6, 0.6, 0.6, 1.0])
_GRIP_ONLY = np.array([-1.0, -1.0, -1.0, 0.0])

_MARGIN = 0.03
"""Soft joint limits give by less than this share of the range."""


def load_model() -> mujoco.MjModel:
    """The physics, read from the MJCF beside this file."""
    text = (files("tasks.kitchen") / "kitchen.xml").read_text(encoding="utf-8")
    return mujoco.MjModel.from_xml_string(text)


def _spec(model: mujoco.MjModel, handles: list[str]) -> EnvSpec:
    names = HAND + FIXTURES
    columns = {name: i for i, name in enumerate(names)}
    size = len(names)
    position, velocity, fixtures = [], [], []
    for name in names:
        joint = model.joint(name)
        low, high = (float(x) for x in joint.range)
        unit = "m" if joint.type[0] == mujoco.mjtJoint.mjJNT_SLIDE else "rad"
        slack = _MARGIN * (high - low)
        position.append(Variable(name, unit, low - slack, high + slack))
        velocity.append(Variable(f"{name}_velocity", f"{unit}/s", -15.0, 15.0))
        if name in FIXTURES:
            handle = handles.index(name.removesuffix("_x").removesuffix("_y"))
            at = 2 * size + 3 * handle
            column = columns[name]
            fixtures.append(Fixture(name, column, size + column, (at, at + 1, at + 2), low, high, unit))
    vectors = [Variable(f"hand_to_{name}_{axis}", "m", -2.0, 2.0) for name in handles for axis in "xyz"]
    action = [Variable(f"move_{axis}", "0.6 m/s", -1.0, 1.0) for axis in "xyz"]
    action.append(Variable("grip", "25 N", -1.0, 1.0))
    return EnvSpec(
        "kitchen", (*position, *velocity, *vectors), tuple(action), tuple(fixtures),
        CONTROL_DT, EPISODE_STEPS, (0, 1, 2), (size, size + 1, size + 2), (0, 1, 2),
    )  # fmt: skip


def _command(actions: Float[ndarray, "*b A"]) -> Float[ndarray, "*b U"]:
    """Velocities of the gantry; the finger holds what it touches where the last column is positive."""
    return np.maximum(actions, _GRIP_ONLY) * _GAIN


@cache
def spec() -> EnvSpec:
    """The kitchen's spec."""
    model = load_model()
    return _spec(model, KitchenKinematics(model, HAND, FIXTURES).handles)


def make_scene(locked: tuple[str, ...] = ()) -> Simulator:
    """The kitchen; the fixtures named in `locked` rest where they are and cannot be moved.

    Raises:
        TaskError: no such fixture.
    """
    model = load_model()
    kinematics = KitchenKinematics(model, HAND, FIXTURES)
    described = spec()
    for name in locked:
        described.fixture(name)
        joint = model.joint(name)
        model.dof_damping[joint.dofadr[0]] = 1e5
        model.dof_armature[joint.dofadr[0]] = 1e3
    low = np.array([variable.low for variable in described.observation])
    high = np.array([variable.high for variable in described.observation])

    def observe(states: Float[ndarray, "*b S"]) -> Float[ndarray, "*b O"]:
        return np.minimum(np.maximum(kinematics.observe(states), low), high).astype(np.float32)

    def sample(rng: np.random.Generator, n: int) -> Float[ndarray, "n S"]:
        """Every fixture is at rest in half of the starts and anywhere in its range in the others."""
        states = np.zeros((n, 1 + model.nq + model.nv))
        for axis, column in enumerate(kinematics.qpos[:3]):
            states[:, column] = rng.uniform(START_BOX[axis, 0], START_BOX[axis, 1], n)
        for fixture, column in zip(described.fixtures, kinematics.qpos[3:], strict=True):
            anywhere = rng.uniform(fixture.low, fixture.high, n)
            moved = (rng.random(n) < 0.5) & (fixture.name not in locked)
            states[:, column] = np.where(moved, anywhere, REST.get(fixture.name, 0.0))
        return states

    return Simulator(model, described, observe, _command, sample, Look(look_model, dress))


class KitchenKinematics:
    """Hand-to-handle vectors as one product with constants read from the model.

    A handle's body has either slides or one hinge. By Rodrigues' formula a hinge with axis a takes the arm r
    to (a.r) a + cos(q) (r - (a.r) a) + sin(q) (a x r), so every handle is linear in (q, cos q, sin q).

    Args:
        model: the physics; a handle is a site named like its body.
        hand: the joints of the hand, slides along x, y and z from the origin.
        fixtures: the joints that can be moved.
    """

    def __init__(self, model: mujoco.MjModel, hand: tuple[str, ...], fixtures: tuple[str, ...]) -> None:
        names = hand + fixtures
        self.handles = [model.site(i).name for i in range(model.nsite)]
        self.qpos = np.array([1 + model.joint(name).qposadr[0] for name in names])
        qvel = [1 + model.nq + model.joint(name).dofadr[0] for name in names]
        self._columns = np.concatenate([self.qpos, qvel]).astype(int)
        self._n = len(names)
        self._base = np.zeros((model.nsite, 3))
        self._linear, self._cos, self._sin = np.zeros((3, self._n, model.nsite, 3))
        self._linear[: len(hand)] = -np.eye(3)[:, None, :]
        for k, handle in enumerate(self.handles):
            self._add(model, k, handle, names)
        shape = (self._n, 3 * model.nsite)
        self._mix = np.concatenate([m.reshape(shape) for m in (self._linear, self._cos, self._sin)])

    def _add(self, model: mujoco.MjModel, k: int, handle: str, names: tuple[str, ...]) -> None:
        body, arm = model.body(handle), model.site(handle).pos
        self._base[k] = body.pos + arm
        for j in range(body.jntadr[0], body.jntadr[0] + body.jntnum[0]):
            row, axis = names.index(model.joint(j).name), model.jnt_axis[j]
            if model.jnt_type[j] == mujoco.mjtJoint.mjJNT_SLIDE:
                self._linear[row, k] = axis
            else:
                along = axis * (axis @ arm)
                self._base[k] = body.pos + along
                self._cos[row, k], self._sin[row, k] = arm - along, np.cross(axis, arm)

    def observe(self, states: Float[ndarray, "*b S"]) -> Float[ndarray, "*b O"]:
        """Positions, velocities, and the vector from the hand to each handle (m)."""
        q = states[..., self.qpos]
        vectors = np.concatenate([q, np.cos(q), np.sin(q)], axis=-1) @ self._mix + self._base.reshape(-1)
        return np.concatenate([states[..., self._columns], vectors], axis=-1)
