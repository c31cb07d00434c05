"""Kinematics of the Sawyer arm, and start states near handles."""

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.hand_control import HandController, damped_least_squares
from tasks.metaworld.spec import (
    DRAWN,
    FIRST_FIXTURE,
    GRIPPER,
    HAND,
    HAND_RANGE,
    HANDLE,
    JointColumns,
    joint_columns,
)

ARM = 7
"""Joints of the arm; the fingers' two come after."""

POINT = 3
"""The last columns of a state: the point (m) that the hand is drawn to."""

GRIPPER_SPAN = 0.1
"""Distance (m) between the fingers that counts as open."""

_DAMPING = 0.02
_FARTHEST = 0.1
"""The hand goes towards its place in stretches of at most this (m)."""


class SawyerKinematics:
    """Of states [S]: time, positions, velocities, and the point that the hand is drawn to.

    Args:
        theirs: an environment of Meta-World, after its reset; it says where the handle is.
    """

    def __init__(self, theirs: Any) -> None:
        self._theirs, self._model, self._data = theirs, theirs.model, theirs.data
        model = self._model
        self._hand = model.body("hand").id
        self._claws = [model.body(name).id for name in ("rightclaw", "leftclaw")]
        self._fixtures = np.array([(slot.position, slot.velocity) for slot in joint_columns(model)]).reshape(
            -1
        )
        self._upright = np.array(self._data.xquat[self._hand])
        self._sag = self._data.xpos[self._hand] - self._data.mocap_pos[0]
        self._low, self._high = model.jnt_range[:ARM].T

    def observe(self, states: Float[ndarray, "*b S"]) -> Float[ndarray, "*b O"]:
        """See `tasks.metaworld.spec`."""
        rows = states.reshape(-1, states.shape[-1])
        seen = np.empty((len(rows), FIRST_FIXTURE + len(self._fixtures)))
        nq, data = self._model.nq, self._data
        low, high = np.transpose(HAND_RANGE)
        for row, out in zip(rows, seen, strict=True):
            jacobian = self._follow(row)[:3]
            velocity = row[1 + nq : -POINT]
            hand, (right, left) = data.xpos[self._hand], data.xpos[self._claws]
            out[HAND : HAND + 3] = np.minimum(np.maximum(hand, low), high)
            out[GRIPPER] = min(float(np.linalg.norm(right - left)) / GRIPPER_SPAN, 1.0)
            out[GRIPPER + 1 : DRAWN - 1] = jacobian @ velocity
            out[DRAWN - 1] = (velocity[ARM + 1] - velocity[ARM]) / GRIPPER_SPAN
            out[DRAWN : DRAWN + 3] = row[-POINT:] - hand
            out[HANDLE : HANDLE + 3] = self._theirs._get_pos_objects()[:3] - hand
            out[FIRST_FIXTURE:] = row[self._fixtures]
        return seen.reshape(*states.shape[:-1], seen.shape[1])

    def place(
        self, states: Float[ndarray, "n S"], points: Float[ndarray, "n 3"], rounds: int = 25
    ) -> Float[ndarray, "n S"]:
        """The states with the arm at rest and bent so that the hand is upright at the points (m), and drawn there."""
        placed, nq = np.array(states), self._model.nq
        for state, point in zip(placed, points, strict=True):
            state[1 + nq : 1 + nq + ARM] = 0.0
            for _ in range(rounds):
                jacobian = self._follow(state)[:, :ARM]
                way = self._way(point)
                bend = damped_least_squares(jacobian, way, _DAMPING)
                state[1 : 1 + ARM] = np.clip(state[1 : 1 + ARM] + bend, self._low, self._high)
            self._follow(state)
            state[-POINT:] = self._data.xpos[self._hand] - self._sag
        return placed

    def _way(self, point: Float[ndarray, " 3"]) -> Float[ndarray, " 6"]:
        """How far the hand is to go (m) and to turn (rad)."""
        way = point - self._data.xpos[self._hand]
        turn = np.empty(3)
        mujoco.mju_subQuat(turn, self._upright, self._data.xquat[self._hand])
        self._data.xmat[self._hand].reshape(3, 3).dot(turn.copy(), out=turn)
        way *= min(1.0, _FARTHEST / max(float(np.linalg.norm(way)), 1e-9))
        return np.concatenate([way, turn])

    def _follow(self, row: Float[ndarray, " S"]) -> Float[ndarray, "6 V"]:
        """Positions of all bodies into the data; the hand's Jacobian."""
        model, data = self._model, self._data
        data.qpos[:] = row[1 : 1 + model.nq]
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        jacobian = np.empty((6, model.nv))
        mujoco.mj_jacBody(model, data, jacobian[:3], jacobian[3:], self._hand)
        return jacobian


START_NOISE = 0.03
"""The hand starts within this (m) of where Meta-World puts it, along each axis, so that episodes differ."""

NEAREST, FARTHEST = 0.03, 0.15
"""How far from the handle the hand is put (m)."""

DISPLACED = 0.5
"""Share of the starts near the handle whose fixtures are moved first."""

_STATE = mujoco.mjtState.mjSTATE_FULLPHYSICS


def begin(theirs: Any) -> Float[ndarray, " S"]:
    """The state that an environment of Meta-World is in, its clock at zero."""
    state = np.empty(mujoco.mj_stateSize(theirs.model, _STATE))
    mujoco.mj_getState(theirs.model, theirs.data, state, _STATE)
    state[0] = 0.0
    return np.concatenate([state, theirs.data.mocap_pos[0]])


class Starts:
    """Draws them.

    Args:
        kinematics: of the scene.
        begins: the start of each of Meta-World's tasks in the scene.
        reach: least and greatest x, y, z (m) of where the hand is put.
        moved: the fixtures that may be displaced.
    """

    def __init__(
        self, kinematics: SawyerKinematics, begins: Sequence[ndarray], reach: tuple[ndarray, ndarray],
        moved: Sequence[JointColumns],
    ) -> None:  # fmt: skip
        self._kinematics, self._begins = kinematics, np.stack(begins)
        self._low, self._high = reach
        self._moved = moved

    @property
    def hand_controller(self) -> HandController:
        """Wishes are actions here; what is left to do is to put the hand near the handle."""
        return HandController(lambda states, wishes: np.clip(wishes, -1.0, 1.0), self.near)

    def sample(self, rng: np.random.Generator, n: int) -> Float[ndarray, "n S"]:
        """A random task's start for each, the hand a little off."""
        states = self._begins[rng.integers(len(self._begins), size=n)]
        hand = self._kinematics.observe(states)[:, HAND : HAND + 3]
        return self._put(states, hand + rng.uniform(-START_NOISE, START_NOISE, (n, 3)))

    def near(self, rng: np.random.Generator, states: Float[ndarray, "n S"]) -> Float[ndarray, "n S"]:
        """The hand close to the handle, never behind it; in half of the cases the fixtures moved before."""
        states, n = np.array(states), len(states)
        moved = rng.random(n) < DISPLACED
        for slot in self._moved:
            way = (slot.low, slot.high) if slot.shift is None else (-slot.shift, slot.shift)
            drawn = rng.uniform(*way, moved.sum())
            states[moved, slot.position] = (
                drawn if slot.shift is None else states[moved, slot.position] + drawn
            )
        seen = self._kinematics.observe(states)
        off = rng.normal(size=(n, 3))
        off *= rng.uniform(NEAREST, FARTHEST, (n, 1)) / np.linalg.norm(off, axis=1, keepdims=True)
        off[:, 2] = np.abs(off[:, 2])
        return self._put(states, seen[:, HAND : HAND + 3] + seen[:, HANDLE : HANDLE + 3] + off)

    def _put(self, states: Float[ndarray, "n S"], points: Float[ndarray, "n 3"]) -> Float[ndarray, "n S"]:
        placed = self._kinematics.place(states, np.clip(points, self._low, self._high))
        placed[:, -POINT:] = np.clip(placed[:, -POINT:], self._low, self._high)
        return placed
