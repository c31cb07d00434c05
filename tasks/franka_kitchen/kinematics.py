"""Where hand and handles are, how fast the hand moves, and how the arm brings it somewhere."""

import mujoco
import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.franka_kitchen.columns import ARM, HAND_SITE, HANDLES, JOINTS, QPOS, QVEL

_DAMPING = 0.05
"""Of the least squares: the arm slows down where it is stretched out, and joints stay slow."""


class Kinematics:
    """Forward and inverse kinematics of states, one by one: about 30 microseconds each.

    Args:
        model: the physics.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model, self._data = model, mujoco.MjData(model)
        self._hand = model.site(HAND_SITE).id
        self._handles = [model.site(site).id for _, site, _ in HANDLES]
        self._columns = np.concatenate([
            np.arange(ARM), QPOS + np.arange(ARM), np.arange(ARM, QPOS), QPOS + np.arange(ARM, QVEL),
        ])  # fmt: skip
        self._low, self._high = model.jnt_range[:JOINTS].T

    def observe(self, states: Float[ndarray, "*b S"]) -> Float[ndarray, "*b O"]:
        """The environment's observation, the hand, its velocity, the vector from it to each handle, its axes."""
        rows = states.reshape(-1, states.shape[-1])[:, 1:]
        extra = np.empty((len(rows), 15 + 3 * len(self._handles)))
        for row, out in zip(rows, extra, strict=True):
            jacobian = self._follow(row)
            out[:3] = self._data.site_xpos[self._hand]
            out[3:6] = jacobian @ row[QPOS:]
            out[6:-9] = (self._data.site_xpos[self._handles] - out[:3]).reshape(-1)
            out[-9:] = self._data.site_xmat[self._hand].reshape(3, 3).T.reshape(-1)
        seen = np.concatenate([rows[:, self._columns], extra], axis=1)
        return seen.reshape(*states.shape[:-1], seen.shape[1])

    def joint_speeds(
        self, states: Float[ndarray, "n S"], velocity: Float[ndarray, "n 3"]
    ) -> Float[ndarray, "n J"]:
        """Speeds of the arm's joints (rad/s) that move the hand at `velocity` (m/s)."""
        speeds = [self._solve(self._follow(row[1:]), v) for row, v in zip(states, velocity, strict=True)]
        return np.array(speeds).reshape(-1, JOINTS)

    def place(
        self, states: Float[ndarray, "n S"], points: Float[ndarray, "n 3"], rounds: int = 30
    ) -> Float[ndarray, "n S"]:
        """The states with the arm bent so that the hand is at, or as near as it gets to, the points (m)."""
        placed = np.array(states)
        for state, point in zip(placed, points, strict=True):
            for _ in range(rounds):
                jacobian = self._follow(state[1:])
                way = point - self._data.site_xpos[self._hand]
                way *= min(1.0, 0.1 / max(float(np.linalg.norm(way)), 1e-9))
                bent = state[1 : 1 + JOINTS] + self._solve(jacobian, way)
                state[1 : 1 + JOINTS] = np.clip(bent, self._low, self._high)
        return placed

    def _follow(self, row: Float[ndarray, " qv"]) -> Float[ndarray, "3 V"]:
        """Positions of all sites into the data; the hand's Jacobian."""
        self._data.qpos[:] = row[:QPOS]
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        jacobian = np.empty((3, QVEL))
        mujoco.mj_jacSite(self._model, self._data, jacobian, None, self._hand)
        return jacobian

    def _solve(self, jacobian: Float[ndarray, "3 V"], velocity: Float[ndarray, " 3"]) -> Float[ndarray, " J"]:
        arm = jacobian[:, :JOINTS]
        solved: ndarray = arm.T @ np.linalg.solve(arm @ arm.T + _DAMPING**2 * np.eye(3), velocity)
        return solved
