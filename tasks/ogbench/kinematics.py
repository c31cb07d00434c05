"""Kinematics of the UR5e arm, for many states at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from jaxtyping import Float
from numpy import ndarray

JOINTS = 6
"""Joints of the arm; those of the gripper come after."""

DOWN = np.diag([1.0, -1.0, -1.0])
"""How the hand stands at a yaw of zero: half a turn about x, so that it looks down."""

ROUNDS = 20
CLOSE = 1e-4
"""The inverse kinematics ends within this of its goal (m, and rad), or after `ROUNDS`: as OGBench's does."""

LARGEST = np.radians(45)
"""Greatest change of a joint (rad) in a round."""

_DAMPING = 1e-12


@dataclass(frozen=True, eq=False)
class ArmPose:
    """Where the wrist and the hand are, for B arms.

    Attributes:
        wrist: place (m) of the flange, which the inverse kinematics moves.
        hand: place (m) of the point between the fingers.
        turn: the flange's axes in the room, as columns.
        hand_turn: those of the hand.
        jacobian: of the flange: velocity and angular velocity by each joint's.
    """

    wrist: Float[ndarray, "B 3"]
    hand: Float[ndarray, "B 3"]
    turn: Float[ndarray, "B 3 3"]
    hand_turn: Float[ndarray, "B 3 3"]
    jacobian: Float[ndarray, "B 6 J"]

    @property
    def yaw(self) -> Float[ndarray, " B"]:
        """Of the hand (rad)."""
        return np.arctan2(self.hand_turn[:, 1, 0], self.hand_turn[:, 0, 0])

    def hand_jacobian(self) -> Float[ndarray, "B 6 J"]:
        """Of the hand."""
        moved = np.array(self.jacobian)
        arm = (self.hand - self.wrist)[:, None]
        moved[:, :3] += np.cross(np.swapaxes(self.jacobian[:, 3:], 1, 2), arm).swapaxes(1, 2)
        return moved


class ArmKinematics:
    """Forward and inverse kinematics.

    Args:
        model: the physics; the arm's joints are its first ones.
        flange: site that the inverse kinematics moves.
        hand: site between the fingers, which does not move in the flange.
    """

    def __init__(
        self, model: mujoco.MjModel, flange: str = "ur5e/attachment_site", hand: str = "ur5e/robotiq/pinch"
    ) -> None:
        site = model.site(flange)
        bodies = _chain(model, int(site.bodyid[0]))
        links: list[tuple[ndarray, ndarray]] = []
        self._axes: list[ndarray] = []
        place, turn = np.zeros(3), np.eye(3)
        for body in bodies:  # what stands still between two joints is one link
            place, turn = place + turn @ model.body_pos[body], turn @ _matrix(model.body_quat[body])
            if model.body_jntnum[body]:
                links.append((place, turn))
                self._axes.append(np.array(model.jnt_axis[model.body_jntadr[body]]))
                place, turn = np.zeros(3), np.eye(3)
        self._links, self._last = links, (place + turn @ site.pos, turn @ _matrix(site.quat))
        data = mujoco.MjData(model)
        mujoco.mj_kinematics(model, data)
        there, pinch = data.site(flange), data.site(hand)
        base = there.xmat.reshape(3, 3)
        self._in_flange = base.T @ (pinch.xpos - there.xpos), base.T @ pinch.xmat.reshape(3, 3)

    def pose(self, joints: Float[ndarray, "B J"]) -> ArmPose:
        """Of arms bent like that (rad)."""
        place = np.zeros((len(joints), 3))
        turn = np.tile(np.eye(3), (len(joints), 1, 1))
        anchors, axes = [], []
        for (offset, rest), axis, angle in zip(self._links, self._axes, joints.T, strict=True):
            place, turn = place + turn @ offset, turn @ rest
            anchors.append(place)
            axes.append(turn @ axis)
            turn = turn @ _rotation(axis, angle)
        wrist, turn = place + turn @ self._last[0], turn @ self._last[1]
        around = np.stack(axes, axis=1)
        lever = wrist[:, None] - np.stack(anchors, axis=1)
        jacobian = np.concatenate([np.cross(around, lever), around], axis=2).swapaxes(1, 2)
        offset, within = self._in_flange
        return ArmPose(wrist, wrist + turn @ offset, turn, turn @ within, jacobian)

    def bend(
        self, joints: Float[ndarray, "B J"], hand: Float[ndarray, "B 3"], yaw: Float[ndarray, " B"]
    ) -> Float[ndarray, "B J"]:
        """Joints (rad) with which the hand is at a place (m) and looks down at a yaw (rad), starting from others.

        Each arm stops by itself where OGBench's own stops, so that the two agree.
        """
        offset, within = self._in_flange
        turn = _about_z(yaw) @ DOWN @ within.T
        wrist = hand - turn @ offset
        bent, open_ = np.array(joints), np.arange(len(joints))
        for _ in range(ROUNDS):
            pose = self.pose(bent[open_])
            way = np.concatenate(
                [wrist[open_] - pose.wrist, _rotation_vector(turn[open_] @ pose.turn.swapaxes(1, 2))], axis=1
            )
            far = (np.linalg.norm(way[:, :3], axis=1) > CLOSE) | (np.linalg.norm(way[:, 3:], axis=1) > CLOSE)
            open_, way, jacobian = open_[far], way[far], pose.jacobian[far]
            if not len(open_):
                break
            square = jacobian @ jacobian.swapaxes(1, 2) + _DAMPING * np.eye(6)
            step = (jacobian.swapaxes(1, 2) @ np.linalg.solve(square, way[..., None]))[..., 0]
            bent[open_] += step * np.minimum(
                1.0, LARGEST / np.abs(step).max(axis=1, keepdims=True).clip(1e-12)
            )
        return bent


def _chain(model: mujoco.MjModel, body: int) -> Sequence[int]:
    """The bodies from the room's first to this one."""
    found = [body]
    while model.body_parentid[found[0]]:
        found.insert(0, int(model.body_parentid[found[0]]))
    return found


def _matrix(quat: Float[ndarray, " 4"]) -> Float[ndarray, "3 3"]:
    flat = np.empty(9)
    mujoco.mju_quat2Mat(flat, np.asarray(quat, np.float64) / np.linalg.norm(quat))
    return flat.reshape(3, 3)


def _rotation(axis: Float[ndarray, " 3"], angle: Float[ndarray, " B"]) -> Float[ndarray, "B 3 3"]:
    """Rodrigues' rotation formula."""
    x, y, z = axis
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    sine, rest = np.sin(angle)[:, None, None], 1.0 - np.cos(angle)[:, None, None]
    turned: ndarray = np.eye(3) + sine * cross + rest * (cross @ cross)
    return turned


def _about_z(angle: Float[ndarray, " B"]) -> Float[ndarray, "B 3 3"]:
    return _rotation(np.array([0.0, 0.0, 1.0]), angle)


def _rotation_vector(turn: Float[ndarray, "B 3 3"]) -> Float[ndarray, "B 3"]:
    """Axis times angle (rad), the angle at most half a turn."""
    trace = np.einsum("bii->b", turn)
    vector = np.stack(
        [turn[:, 2, 1] - turn[:, 1, 2], turn[:, 0, 2] - turn[:, 2, 0], turn[:, 1, 0] - turn[:, 0, 1]], 1
    )
    sine = np.linalg.norm(vector, axis=1)
    angle = np.arctan2(sine, trace - 1.0)
    plain: ndarray = vector * np.where(sine > 1e-9, angle / np.maximum(sine, 1e-300), 0.5)[:, None]
    half = (sine <= 1e-9) & (trace < 0.0)
    if half.any():  # half a turn: the axis is the column of the largest diagonal entry
        for row in np.flatnonzero(half):
            square = (turn[row] + np.eye(3)) / 2
            column = int(np.argmax(np.diag(square)))
            plain[row] = np.pi * square[:, column] / np.sqrt(square[column, column])
    return plain
