"""Kinematics of the Franka arm, and control of the arm by its hand."""

from collections.abc import Mapping

import mujoco
import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.franka_kitchen.spec import ARM, HAND_SITE, HANDLES, JOINTS, QPOS, QVEL, spec
from tasks.hand_control import HandController, damped_least_squares

_DAMPING = 0.05
"""Of the least squares: the arm slows down where it is stretched out, and joints stay slow."""


class FrankaKinematics:
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
        return damped_least_squares(jacobian[:, :JOINTS], velocity, _DAMPING)


HAND_SPEED = 1.5
"""Speed of the hand (m/s) at a wish of 1."""

JOINT_SPEED = 2.0
"""Speed of a joint (rad/s) at an action of 1."""

NEAREST, FARTHEST = 0.02, 0.18
"""How far from the handle the hand is put (m)."""

REACH = 0.03
"""Nearer than this to a handle (m) it is between the fingers; from farther away they close on nothing."""

DISPLACED = ("kettle_x", "kettle_y")
"""The kettle is put at most `KETTLE_WAY` (m) from where it was; other things anywhere in their range."""

KETTLE_WAY = 0.15


def hand_controller(
    kinematics: FrankaKinematics, columns: Mapping[str, int], locked: tuple[str, ...] = ()
) -> HandController:
    """How the hand is led.

    Args:
        kinematics: of the scene.
        columns: the state's column of each fixture.
        locked: fixtures that are never displaced.
    """

    def steer(states: Float[ndarray, "n S"], wishes: Float[ndarray, "n 4"]) -> Float[ndarray, "n A"]:
        """The arm's joints by the hand's Jacobian; the fingers close where the last wish is above 0."""
        speeds = kinematics.joint_speeds(states, HAND_SPEED * wishes[:, :3]) / JOINT_SPEED
        fingers = np.where(wishes[:, 3:] > 0, -1.0, 1.0).repeat(2, axis=1)
        return np.clip(np.concatenate([speeds, fingers], axis=1), -1.0, 1.0)

    def approach(rng: np.random.Generator, states: Float[ndarray, "n S"]) -> Float[ndarray, "n S"]:
        """A random handle for each, in half of the cases with its fixture moved first."""
        states = np.array(states)
        chosen = rng.integers(len(HANDLES), size=len(states))
        for state, k in zip(states, chosen, strict=True):
            if rng.random() < 0.5:
                _displace(rng, state, HANDLES[k][2][0], columns, locked)
        obs = kinematics.observe(states)
        hand, first = (
            list(spec().hand),
            np.array([spec().fixture(names[0]).handle[0] for *_, names in HANDLES]),
        )
        vector = obs[np.arange(len(states))[:, None], first[chosen][:, None] + np.arange(3)]
        way = rng.normal(size=(len(states), 3))
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        way[:, 1] = -np.abs(way[:, 1])
        distance = rng.uniform(NEAREST, FARTHEST, (len(states), 1))
        return kinematics.place(states, obs[:, hand] + vector + distance * way)

    return HandController(steer, approach, REACH)


def _displace(
    rng: np.random.Generator, state: Float[ndarray, " S"], name: str, columns: Mapping[str, int],
    locked: tuple[str, ...],
) -> None:  # fmt: skip
    """Put a fixture somewhere in its range; the kettle a little aside."""
    if name in locked:
        return
    if name in DISPLACED:
        for part in DISPLACED:
            state[columns[part]] += rng.uniform(-KETTLE_WAY, KETTLE_WAY)
        return
    fixture = spec().fixture(name)
    state[columns[name]] = rng.uniform(fixture.low, fixture.high)
