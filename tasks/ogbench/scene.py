"""The simulator of a workcell."""

from collections.abc import Callable, Mapping

import mujoco
import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.errors import TaskError
from tasks.hand_control import HandController
from tasks.ogbench.cells import Cell
from tasks.ogbench.kinematics import JOINTS, ArmKinematics
from tasks.simulator import Look, RolloutSimulator, stand_in
from tasks.spec import EnvSpec

SCALE = np.array([0.05, 0.05, 0.05, 0.3, 1.0])
"""How far (m, rad, share of its way) an action of 1 moves the goal of hand, turn and gripper from where they are."""

BOUNDS = np.array([[0.25, -0.35, 0.02], [0.6, 0.35, 0.35]])
"""Least and greatest x, y, z (m) of the hand's goal."""

GRIPPER_JOINT = JOINTS
CLOSED = 0.8
"""Position (rad) of the gripper's joint, the first after the arm's, at which it counts as closed."""

PRESSED = -0.02
"""A button is pressed when its joint (m) passes this on the way down."""

LOCKED, FREE = 1e6, 2.0
"""Damping of a slide that is locked, and of one that is not."""


class WorkcellScene(RolloutSimulator):
    """Next states are those of OGBench's environment, with its solver started cold.

    A state is MuJoCo's (time, positions, velocities) and the lights, 0 or 1 each. A press changes lights after the
    physics of its control step; a light locks its slide from the next one on.

    Args:
        model: the physics.
        spec: what is seen and done.
        cell: what is in the workcell.
        kinematics: of the arm.
        observe: states to observations.
        sample: draws the starts of episodes.
        columns: the state's column of each fixture.
        hand_controller: leads the hand.
        coarse: the same scene in larger time steps.
        look: what pictures show.
    """

    def __init__(
        self, model: mujoco.MjModel, spec: EnvSpec, cell: Cell, kinematics: ArmKinematics,
        observe: Callable[[ndarray], ndarray], sample: Callable[[np.random.Generator, int], ndarray],
        columns: Mapping[str, int], hand_controller: HandController, coarse: "WorkcellScene | None" = None,
        look: Look | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            model, spec, observe, lambda actions: actions, sample, look, columns=columns,
            hand_controller=hand_controller, coarse=coarse,
        )  # fmt: skip
        self._kinematics, self._locks = kinematics, [slide.lock for slide in cell.slides]
        self._slides = [int(model.joint(f"{slide.name}_slide").dofadr[0]) for slide in cell.slides]
        self._held = model.dof_damping[self._slides] > LOCKED  # somebody has locked it for good
        self._buttons = [
            1 + int(model.joint(f"buttonbox_joint_{i}").qposadr[0]) for i in range(len(cell.buttons))
        ]
        self._changes = np.zeros((len(cell.buttons), len(cell.lights)))
        for button in range(len(cell.buttons)):
            self._changes[button, list(cell.changed_by(button))] = 1.0
        self.physics_size = self.state_size
        self.state_size += len(cell.lights)

    def rollout(
        self, states: Float[ndarray, "B S"], actions: Float[ndarray, "B T A"]
    ) -> Float[ndarray, "B T S"]:
        """The states after each of T control steps from each of B starts; the scene itself stays as it is.

        From where a simulation diverges its states are NaN.

        Raises:
            TaskError: an action is not finite.
        """
        actions = self._checked(actions).astype(np.float64)
        path = np.empty((*actions.shape[:2], self.state_size))
        now, lights = np.ascontiguousarray(states[:, : self.physics_size]), states[:, self.physics_size :]
        for t in range(actions.shape[1]):
            sound = stand_in(self.model, now)
            held = np.repeat(self.controls(sound, actions[:, t])[:, None], self._substeps, axis=1)
            after = self._marked(now, self._after(sound, held, np.nan_to_num(lights)))
            lights = self._pressed(now, after, lights)
            now = after
            path[:, t] = np.concatenate([now, lights], axis=1)
        return path

    def placed(self, states: Float[ndarray, "n S"], place: Mapping[str, float]) -> Float[ndarray, "n S"]:
        """States in which the fixtures in `place` are where it says.

        Raises:
            TaskError: no such fixture, or the cube's yaw, which no number sets by itself.
        """
        for name in place:
            if name.startswith("cube_yaw"):
                raise TaskError(f"{self.spec.name}: {name} cannot be set by itself")
        return super().placed(states, place)

    def controls(
        self, states: Float[ndarray, "B S"], actions: Float[ndarray, "B A"]
    ) -> Float[ndarray, "B U"]:
        """Joint positions (rad) and the gripper's (0 to 255), to be held for one control step."""
        joints = states[:, 1 : 1 + JOINTS]
        pose = self._kinematics.pose(joints)
        way = SCALE * actions
        hand = np.clip(pose.hand + way[:, :3], *BOUNDS)
        bent = self._kinematics.bend(joints, hand, pose.yaw + way[:, 3])
        grip = np.clip(np.clip(states[:, 1 + GRIPPER_JOINT] / CLOSED, 0.0, 1.0) + way[:, 4], 0.0, 1.0)
        return np.concatenate([bent, 255.0 * grip[:, None]], axis=1)

    def _after(
        self, states: Float[ndarray, "B S"], held: Float[ndarray, "B n U"], lights: Float[ndarray, "B L"]
    ) -> Float[ndarray, "B S"]:
        """The physics of one control step, for rows that have the same slides locked at a time."""
        shut = lights[:, self._locks] < 0.5
        kinds, which = np.unique(shut, axis=0, return_inverse=True)
        after = np.empty_like(states)
        for k, kind in enumerate(kinds):
            rows = np.flatnonzero(which.reshape(-1) == k)
            self.model.dof_damping[self._slides] = np.where(kind | self._held, LOCKED, FREE)
            after[rows] = self._pool.rollout(self.model, self._scratch, states[rows], held[rows])[0][:, -1]
        return after

    def _pressed(
        self, before: Float[ndarray, "B S"], after: Float[ndarray, "B S"], lights: Float[ndarray, "B L"]
    ) -> Float[ndarray, "B L"]:
        if not self._buttons:
            return lights
        down = (before[:, self._buttons] > PRESSED) & (after[:, self._buttons] <= PRESSED)
        changed: ndarray = np.mod(lights + down @ self._changes, 2.0)
        return np.where(np.isfinite(after).all(axis=1, keepdims=True), changed, np.nan)
