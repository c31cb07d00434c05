"""Which workcells of OGBench there are, and how the package's own environments are made."""

import importlib
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from tasks.errors import TaskError
from tasks.spec import nearest


@dataclass(frozen=True)
class Slide:
    """A thing on a rail.

    Attributes:
        name: of the fixture.
        site: the site of its handle in the model.
        lock: number of the light that must be 1 for it to move.
        along: direction (x, y) of its handle.
    """

    name: str
    site: str
    lock: int
    along: tuple[float, float]


@dataclass(frozen=True)
class Cell:
    """One workcell.

    Attributes:
        file: module of the package that has its environment, and the class in it.
        kind: what that class is told.
        steps: control steps of an episode, as the package registers it.
        cube: whether a cube lies in it.
        slides: drawer and window.
        buttons: names of the buttons. Each changes the light of its own number, and on a grid those of its neighbours.
        lights: names of the buttons' states, 0 or 1.
        columns: of the grid that the buttons form; 0 where each changes its own light alone.
        oracle_closed: whether the package's oracles press buttons with the gripper closed all the time.
    """

    file: tuple[str, str]
    kind: str
    steps: int
    cube: bool = False
    slides: tuple[Slide, ...] = ()
    buttons: tuple[str, ...] = ()
    lights: tuple[str, ...] = ()
    columns: int = 0
    oracle_closed: bool = False

    def changed_by(self, button: int) -> tuple[int, ...]:
        """Numbers of the lights that a press of a button changes, its own first."""
        if not self.columns:
            return (button,)
        row, column = divmod(button, self.columns)
        beside = ((row, column), (row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1))
        rows = len(self.buttons) // self.columns
        return tuple(r * self.columns + c for r, c in beside if 0 <= r < rows and 0 <= c < self.columns)


_ENVS = "ogbench.manipspace.envs"

CELLS: Mapping[str, Cell] = {
    "scene": Cell(
        (f"{_ENVS}.scene_env", "SceneEnv"), "", 750, cube=True,
        slides=(
            Slide("drawer", "drawer_handle_center", 0, (1.0, 0.0)),
            Slide("window", "window_handle_center", 1, (0.0, 1.0)),
        ),
        buttons=("drawer_button", "window_button"), lights=("drawer_unlocked", "window_unlocked"),
    ),
    "cube-single": Cell((f"{_ENVS}.cube_env", "CubeEnv"), "single", 200, cube=True),
    "puzzle-3x3": Cell(
        (f"{_ENVS}.puzzle_env", "PuzzleEnv"), "3x3", 500, columns=3, oracle_closed=True,
        buttons=tuple(f"button_{i}" for i in range(9)), lights=tuple(f"light_{i}" for i in range(9)),
    ),
}  # fmt: skip
"""By name; the package has larger ones of the last two kinds."""

INSTALL = "pip install 'mbtransfer[ogbench]'"


def parse_name(text: str) -> tuple[str, Cell]:
    """The plain name and the cell that `ogbench:TEXT` means.

    The package's own names of environments and files (`scene-v0`, `scene-play-v0-val`) are understood too.

    Raises:
        TaskError: no such cell; names the nearest one.
    """
    name = re.sub(r"(-play|-noisy)?(-v\d+)?(-val)?$", "", text.replace("_", "-"))
    if name not in CELLS:
        raise TaskError(f"ogbench: no workcell {text!r}{nearest(name, list(CELLS))}")
    return name, CELLS[name]


def load_env(name: str, cell: Cell, task: int = 1) -> Any:
    """The package's own environment of a cell, after a reset to one of its tasks; it draws no pictures.

    Raises:
        TaskError: OGBench is not installed, or cannot be loaded.
    """
    if find_spec("ogbench") is None:
        raise TaskError(f"ogbench:{name} needs OGBench: {INSTALL}")
    module, called = cell.file
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # OpenGL without a display, precision of a box
            env = getattr(importlib.import_module(module), called)(
                cell.kind, mode="task", terminate_at_goal=False, visualize_info=False
            )
            env.reset(seed=0, options={"task_id": task})
    except (ImportError, AttributeError, TypeError) as problem:
        said = f"{type(problem).__name__}: {problem}"
        raise TaskError(f"ogbench:{name}: the OGBench installed is not usable ({said}): {INSTALL}") from None
    return env
