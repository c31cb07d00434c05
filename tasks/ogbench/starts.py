"""Start states: anywhere, as where OGBench's data begin; of a task; and with the hand near a handle."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.hand_control import HandController
from tasks.ogbench.cells import Cell
from tasks.ogbench.kinematics import JOINTS, ArmKinematics
from tasks.ogbench.observation import Observer
from tasks.ogbench.scene import BOUNDS, SCALE

HOME = np.array([-np.pi / 2, -np.pi / 2, np.pi / 2, -np.pi / 2, -np.pi / 2, 0.0])
"""Joints (rad) from which the arm is bent to where an episode begins."""

NOISE = 0.01
"""A task's things begin within this (m) of where it has them."""

CUBE_HEIGHT = 0.02
"""Of the centre of a cube on the table (m)."""

NEAREST, FARTHEST = 0.0, 0.12
"""How far above and beside a handle the hand is put (m)."""

REACH = 0.025
"""Nearer than this to a handle (m), it is between the fingers."""


@dataclass(frozen=True)
class Setting:
    """How the things of a workcell stand.

    Attributes:
        cube: its place (m); None where there is none.
        slides: positions of the slides (m), in the cell's order.
        lights: 0 or 1 each, in the cell's order.
    """

    cube: tuple[float, float, float] | None
    slides: tuple[float, ...]
    lights: tuple[int, ...]


class Starts:
    """Draws them.

    Args:
        theirs: OGBench's environment of the cell, after its reset.
        cell: what is in it.
        observer: of the cell.
        kinematics: of the arm.
    """

    def __init__(self, theirs: Any, cell: Cell, observer: Observer, kinematics: ArmKinematics) -> None:
        self._model, self._cell, self._see, self._arm = theirs.model, cell, observer, kinematics
        self._hand_low, self._hand_high = np.array(theirs._arm_sampling_bounds)
        self._cube_low, self._cube_high = np.array(theirs._object_sampling_bounds)

    def sample(self, rng: np.random.Generator, n: int) -> Float[ndarray, "n S"]:
        """Hand, cube, slides and lights anywhere: where OGBench's data begin."""
        states = self._blank(rng, n)
        if self._see.cube is not None:
            places = np.full((n, 3), CUBE_HEIGHT)
            places[:, :2] = rng.uniform(self._cube_low, self._cube_high, (n, 2))
            self._put_cube(rng, states, places)
        for slide in self._cell.slides:
            low, high = self._model.joint(f"{slide.name}_slide").range
            states[:, self._see.columns[slide.name]] = rng.uniform(low, high, n)
        lights = len(self._cell.lights)
        states[:, states.shape[1] - lights :] = rng.integers(2, size=(n, lights))
        return states

    def of(self, rng: np.random.Generator, n: int, setting: Setting) -> Float[ndarray, "n S"]:
        """The hand anywhere, the things where a task has them at its start."""
        states = self._blank(rng, n)
        if setting.cube is not None:
            places = np.tile(setting.cube, (n, 1))
            places[:, :2] += rng.uniform(-NOISE, NOISE, (n, 2))
            self._put_cube(rng, states, places)
        for slide, place in zip(self._cell.slides, setting.slides, strict=True):
            low, high = self._model.joint(f"{slide.name}_slide").range
            drawn = place + rng.uniform(-NOISE, NOISE, n)
            states[:, self._see.columns[slide.name]] = np.clip(drawn, low, high)
        states[:, states.shape[1] - len(setting.lights) :] = setting.lights
        return states

    def hand_controller(self) -> HandController:
        """Wishes are actions here; the hand turns as the nearest thing lies."""
        return HandController(self._steer, self.near, REACH)

    def near(self, rng: np.random.Generator, states: Float[ndarray, "n S"]) -> Float[ndarray, "n S"]:
        """The hand above or beside a random handle."""
        states, n = np.array(states), len(states)
        handles = self._see.handles(states)
        chosen = rng.integers(handles.shape[1], size=n)
        off = rng.normal(size=(n, 3))
        off *= rng.uniform(NEAREST, FARTHEST, (n, 1)) / np.linalg.norm(off, axis=1, keepdims=True)
        off[:, 2] = np.abs(off[:, 2])
        hand = np.clip(handles[np.arange(n), chosen] + off, *BOUNDS)
        yaw = self._yaws(states)[np.arange(n), chosen] + rng.normal(0.0, 0.2, n)
        states[:, 1 : 1 + JOINTS] = self._arm.bend(np.tile(HOME, (n, 1)), hand, yaw)
        return states

    def _steer(self, states: Float[ndarray, "n S"], wishes: Float[ndarray, "n 4"]) -> Float[ndarray, "n A"]:
        pose = self._arm.pose(states[:, 1 : 1 + JOINTS])
        way = np.linalg.norm(self._see.handles(states) - pose.hand[:, None], axis=2)
        nearest = way.argmin(axis=1)
        yaw = self._yaws(states)[np.arange(len(states)), nearest]
        turn = (yaw - pose.yaw + np.pi / 4) % (np.pi / 2) - np.pi / 4
        close = np.where(wishes[:, 3:] > 0, 1.0, -1.0)
        return np.clip(np.concatenate([wishes[:, :3], turn[:, None] / SCALE[3], close], axis=1), -1.0, 1.0)

    def _yaws(self, states: Float[ndarray, "n S"]) -> Float[ndarray, "n H"]:
        """How the things lie (rad); what is good for the hand is good for it a half turn on, and the cube a quarter."""
        still = np.tile(self._see.slide_yaw, (len(states), 1))
        if self._see.cube is None:
            return still
        return np.concatenate([self._see.cube_yaw(states)[0][:, None], still], axis=1)

    def _blank(self, rng: np.random.Generator, n: int) -> Float[ndarray, "n S"]:
        states = np.zeros((n, 1 + self._model.nq + self._model.nv + len(self._cell.lights)))
        states[:, 1 : 1 + self._model.nq] = self._model.qpos0
        hand, yaw = rng.uniform(self._hand_low, self._hand_high, (n, 3)), rng.uniform(-np.pi, np.pi, n)
        states[:, 1 : 1 + JOINTS] = self._arm.bend(np.tile(HOME, (n, 1)), hand, yaw)
        return states

    def _put_cube(
        self, rng: np.random.Generator, states: Float[ndarray, "n S"], places: Float[ndarray, "n 3"]
    ) -> None:
        at, half = self._see.cube, rng.uniform(0.0, 2 * np.pi, len(states)) / 2
        assert at is not None
        states[:, at : at + 3] = places
        states[:, at + 3 : at + 7] = np.stack([np.cos(half), 0 * half, 0 * half, np.sin(half)], axis=1)
