"""Play as OGBench's data sets have it: its own oracles do one random thing after the other."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.ogbench.cells import Cell
from tasks.ogbench.kinematics import JOINTS, ArmKinematics
from tasks.ogbench.observation import Observer
from tasks.ogbench.scene import CLOSED, GRIPPER_JOINT
from tasks.ogbench.tasks import OPEN

NOISE, SMOOTHING = 0.1, 0.5
"""Of the oracles' plans, and how smooth it is over time: as OGBench's own data were made."""

IN_DRAWER = 0.3
"""Share of the cube's ways that lead into the drawer, where it is open."""

STUCK = 0.25
"""How often a locked slide is tried, compared with one that is free."""

WIDE = -0.12
"""Position of the drawer (m) below which it is open wide enough for the cube."""


class Play:
    """B episodes of play; called with observations and states, it gives actions.

    What to do next is drawn as OGBench draws it. Unlike there, no episode is thrown away because the cube got lost.

    Args:
        theirs: OGBench's environment of the cell.
        cell: what is in it.
        observer: of the cell.
        kinematics: of the arm.
        batch: B.
        rng: source of all choices.
    """

    def __init__(
        self, theirs: Any, cell: Cell, observer: Observer, kinematics: ArmKinematics, batch: int,
        rng: np.random.Generator,
    ) -> None:  # fmt: skip
        self._theirs, self._cell, self._see, self._arm, self._rng = theirs, cell, observer, kinematics, rng
        self._kinds = (["cube"] if cell.cube else []) + (["button"] if cell.buttons else [])
        self._kinds += [slide.name for slide in cell.slides]
        self._oracles = [self._made() for _ in range(batch)]
        self._now: list[Any] = [None] * batch

    def __call__(self, obs: Float[ndarray, "B O"], state: Float[ndarray, "B S"]) -> Float[ndarray, "B A"]:
        """The next action of each episode."""
        pose = self._arm.pose(state[:, 1 : 1 + JOINTS])
        yaw = pose.yaw
        actions = np.empty((len(state), 5))
        for row, (now, one) in enumerate(zip(self._now, state, strict=True)):
            info: dict[str, Any] = {
                "proprio/effector_pos": pose.hand[row], "proprio/effector_yaw": yaw[row : row + 1],
                "proprio/gripper_opening": np.clip(one[[1 + GRIPPER_JOINT]] / CLOSED, 0.0, 1.0), "time": one[:1],
            }  # fmt: skip
            if now is None or now.done:
                now = self._now[row] = self._next(row, one, info)
            actions[row] = now.select_action(None, info)
        return np.clip(actions, -1.0, 1.0)

    def _made(self) -> dict[str, Any]:
        """One oracle for each kind of thing."""
        found = {}
        for kind in self._kinds:
            module = importlib.import_module(f"ogbench.manipspace.oracles.plan.{kind}_plan")
            given: dict[str, Any] = {"env": self._theirs, "noise": NOISE, "noise_smoothing": SMOOTHING}
            if kind == "button":
                given["gripper_always_closed"] = self._cell.oracle_closed
            found[kind] = getattr(module, f"{kind.capitalize()}PlanOracle")(**given)
        return found

    def _next(self, row: int, state: Float[ndarray, " S"], info: dict[str, Any]) -> Any:
        """The oracle of what is to be done next, with its plan made."""
        lights = state[len(state) - len(self._cell.lights) :] > 0.5
        kind = str(self._rng.choice(self._kinds, p=self._shares(state, lights)))
        target = self._cube if kind == "cube" else self._button if kind == "button" else self._slide
        oracle = self._oracles[row][kind]
        oracle._done = False
        with _seeded(self._rng):
            oracle.reset(None, info | target(kind, state))
        return oracle

    def _shares(self, state: Float[ndarray, " S"], lights: ndarray) -> Float[ndarray, " k"]:
        weights = dict.fromkeys(self._kinds, 1.0)
        weights |= {slide.name: 1.0 if lights[slide.lock] else STUCK for slide in self._cell.slides}
        if "drawer" in weights and self._is_inside(state):
            weights["cube"] = 0.0
        shares = np.array(list(weights.values()))
        return shares / shares.sum()

    def _is_inside(self, state: Float[ndarray, " S"]) -> bool:
        """Whether the cube lies in the drawer: by the package's own test, which measures from the drawer's handle."""
        at = self._see.cube
        assert at is not None
        x, y, z = state[at : at + 3]
        handle = self._handle("drawer", state)[1]
        return bool(0.21 <= x <= 0.45 and handle - 0.27 <= y <= handle - 0.07 and 0.0 <= z <= 0.15)

    def _handle(self, name: str, state: Float[ndarray, " S"]) -> Float[ndarray, " 3"]:
        place: ndarray = self._see.handles(state[None])[0, self._see.number(name)]
        return place

    def _cube(self, kind: str, state: Float[ndarray, " S"]) -> dict[str, Any]:
        at, rng = self._see.cube, self._rng
        assert at is not None
        drawer = self._see.columns.get("drawer")
        if drawer is not None and state[drawer] < WIDE and rng.random() < IN_DRAWER:
            place = np.array(self._theirs._drawer_center)
            place[:2] += rng.uniform(-0.005, 0.005, 2)
        else:
            place = np.append(rng.uniform(*self._theirs._target_sampling_bounds), 0.02)
        return {
            "privileged/target_block": 0, "privileged/block_0_pos": state[at : at + 3],
            "privileged/block_0_yaw": self._see.cube_yaw(state[None])[0], "privileged/target_block_pos": place,
            "privileged/target_block_yaw": rng.uniform(0, 2 * np.pi, 1),
        }  # fmt: skip

    def _button(self, kind: str, state: Float[ndarray, " S"]) -> dict[str, Any]:
        name = self._cell.buttons[int(self._rng.integers(len(self._cell.buttons)))]
        return {"privileged/target_button_top_pos": self._handle(name, state)}

    def _slide(self, kind: str, state: Float[ndarray, " S"]) -> dict[str, Any]:
        """To the end of the range that is farther off."""
        column = self._see.columns[kind]
        low, high = (OPEN, 0.0) if kind == "drawer" else (0.0, 0.2)
        there = np.array(state)
        there[column] = low if state[column] >= (low + high) / 2 else high
        return {
            f"privileged/{kind}_handle_pos": self._handle(kind, state),
            f"privileged/{kind}_handle_yaw": self._see.slide_yaw[[self._see.rail(kind)]],
            f"privileged/target_{kind}_handle_pos": self._handle(kind, there),
        }


@contextmanager
def _seeded(rng: np.random.Generator) -> Iterator[None]:
    """The oracles draw from NumPy's global generator: it is seeded for them, and then put back as it was."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(int(rng.integers(2**32)))  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
