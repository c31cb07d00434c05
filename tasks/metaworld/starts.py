"""Where episodes begin: as Meta-World's tasks do, the hand a little elsewhere; or with the hand near the handle."""

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.lead import Lead
from tasks.metaworld.columns import HAND, HANDLE
from tasks.metaworld.kinematics import POINT, Kinematics
from tasks.metaworld.slots import Slot

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
        self, kinematics: Kinematics, begins: Sequence[ndarray], reach: tuple[ndarray, ndarray],
        moved: Sequence[Slot],
    ) -> None:  # fmt: skip
        self._kinematics, self._begins = kinematics, np.stack(begins)
        self._low, self._high = reach
        self._moved = moved

    @property
    def lead(self) -> Lead:
        """Wishes are actions here; what is left to do is to put the hand near the handle."""
        return Lead(lambda states, wishes: np.clip(wishes, -1.0, 1.0), self.near)

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
