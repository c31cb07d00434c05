"""What is seen of states."""

import mujoco
import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.ogbench.cells import Cell
from tasks.ogbench.kinematics import JOINTS, ArmKinematics
from tasks.ogbench.scene import CLOSED, GRIPPER_JOINT
from tasks.ogbench.spec import (
    AXES,
    FIRST_VECTOR,
    GRIPPER,
    GRIPPER_VELOCITY,
    HAND,
    HAND_VELOCITY,
    TURN_VELOCITY,
    rails,
)
from tasks.spec import EnvSpec

SIDES = 4
"""The cube looks the same after a quarter of a turn."""


class Observer:
    """States [*b S] to observations [*b O].

    Args:
        model: the physics.
        described: the spec.
        cell: what is in the workcell.
        kinematics: of the arm.

    Attributes:
        columns: the state's column of each fixture.
    """

    def __init__(
        self, model: mujoco.MjModel, described: EnvSpec, cell: Cell, kinematics: ArmKinematics
    ) -> None:
        self._kinematics, self._nq = kinematics, model.nq
        self._low, self._high = (
            np.array([getattr(v, end) for v in described.observation]) for end in ("low", "high")
        )
        data = mujoco.MjData(model)
        mujoco.mj_kinematics(model, data)
        lines = rails(cell)
        joints = [model.joint(rail.joint) for rail in lines]
        self._at = np.array([1 + joint.qposadr[0] for joint in joints], int)
        self._speed = np.array([1 + model.nq + joint.dofadr[0] for joint in joints], int)
        self._axes = np.array([data.xaxis[joint.id] for joint in joints]).reshape(-1, 3)
        rest = np.array([data.qpos[joint.qposadr[0]] for joint in joints])
        sites = np.array([data.site(rail.site).xpos for rail in lines]).reshape(-1, 3)
        self._sites = sites - self._axes * rest[:, None]
        self.slide_yaw = np.array([np.arctan2(*data.site(rail.site).xmat[[3, 0]]) for rail in lines])
        self.cube = 1 + int(model.joint("object_joint_0").qposadr[0]) if cell.cube else None
        self._cube_speed = 1 + model.nq + int(model.joint("object_joint_0").dofadr[0]) if cell.cube else 0
        self._names = [rail.name for rail in lines]
        self.columns = dict(zip(self._names, self._at.tolist(), strict=True))
        if (
            self.cube is not None
        ):  # a cube is put by its place; its yaw is cosine and sine of four times the angle
            self.columns |= {f"cube_{axis}": self.cube + k for k, axis in enumerate("xyz")}
        self._physics = 1 + model.nq + model.nv

    def observe(self, states: Float[ndarray, "*b S"]) -> Float[ndarray, "*b O"]:
        """See `tasks.ogbench.spec`."""
        rows = states.reshape(-1, states.shape[-1])
        seen = np.concatenate([self._arm(rows), self._things(rows)], axis=1)
        seen = np.minimum(np.maximum(seen, self._low), self._high).astype(np.float32)
        return seen.reshape(*states.shape[:-1], seen.shape[1])

    def handles(self, rows: Float[ndarray, "n S"]) -> Float[ndarray, "n H 3"]:
        """Where the things are that the hand can go to (m): the cube first, if there is one."""
        places = self._sites + self._axes * rows[:, self._at, None]
        if self.cube is None:
            return places
        return np.concatenate([rows[:, None, self.cube : self.cube + 3], places], axis=1)

    def rail(self, name: str) -> int:
        """Number of a slide or button among them."""
        return self._names.index(name)

    def number(self, name: str) -> int:
        """Its number among the handles."""
        return self.rail(name) + (self.cube is not None)

    def cube_yaw(self, rows: Float[ndarray, "n S"]) -> tuple[Float[ndarray, " n"], Float[ndarray, " n"]]:
        """Yaw (rad) of the cube and its speed (rad/s)."""
        assert self.cube is not None
        w, x, y, z = rows[:, self.cube + 3 : self.cube + 7].T
        yaw = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
        up = np.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], axis=1)
        own = rows[:, self._cube_speed + 3 : self._cube_speed + 6]
        return yaw, (up * own).sum(axis=1)

    def _arm(self, rows: Float[ndarray, "n S"]) -> Float[ndarray, "n v"]:
        pose = self._kinematics.pose(rows[:, 1 : 1 + JOINTS])
        first = 1 + self._nq
        speed = np.einsum("bij,bj->bi", pose.hand_jacobian(), rows[:, first : first + JOINTS])
        seen = np.empty((len(rows), FIRST_VECTOR))
        seen[:, HAND : HAND + 3] = pose.hand
        seen[:, GRIPPER] = rows[:, 1 + GRIPPER_JOINT] / CLOSED
        seen[:, HAND_VELOCITY : HAND_VELOCITY + 3] = speed[:, :3]
        seen[:, TURN_VELOCITY] = speed[:, 5]
        seen[:, GRIPPER_VELOCITY] = rows[:, first + GRIPPER_JOINT] / CLOSED
        seen[:, AXES:] = pose.hand_turn.swapaxes(1, 2).reshape(len(rows), 9)
        vectors = self.handles(rows) - pose.hand[:, None]
        return np.concatenate([seen, vectors.reshape(len(rows), -1)], axis=1)

    def _things(self, rows: Float[ndarray, "n S"]) -> Float[ndarray, "n v"]:
        parts = [rows[:, self._physics :]]
        if self.cube is not None:
            yaw, turn = self.cube_yaw(rows)
            angle = SIDES * yaw
            place = rows[:, self.cube : self.cube + 3]
            speed = rows[:, self._cube_speed : self._cube_speed + 3]
            values = np.concatenate([place, np.cos(angle)[:, None], np.sin(angle)[:, None]], axis=1)
            around = SIDES * turn[:, None] * np.stack([-np.sin(angle), np.cos(angle)], axis=1)
            speeds = np.concatenate([speed, around], axis=1)
            parts.append(np.stack([values, speeds], axis=2).reshape(len(rows), -1))
        along = np.stack([rows[:, self._at], rows[:, self._speed]], axis=2)
        return np.concatenate([*parts, along.reshape(len(rows), -1)], axis=1)
