"""The arm led by its hand: what lets collecting behaviours go to handles and pull them."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.franka_kitchen.columns import HANDLES, spec
from tasks.franka_kitchen.kinematics import Kinematics
from tasks.lead import Lead

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


def lead(kinematics: Kinematics, columns: Mapping[str, int], locked: tuple[str, ...] = ()) -> Lead:
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

    return Lead(steer, approach, REACH)


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
