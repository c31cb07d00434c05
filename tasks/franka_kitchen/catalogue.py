"""The seven subtasks of FrankaKitchen, and which of several are left to complete.

All of them are source tasks: which ones are left out of data collection is a question of the experiment, and
`--tasks` says it.
"""

from collections.abc import Iterable
from functools import cache

import torch
from jaxtyping import Float
from numpy import ndarray

from tasks.errors import TaskError
from tasks.franka_kitchen.columns import ARM, spec
from tasks.franka_kitchen.scene import INITIAL
from tasks.franka_kitchen.subtask import Subtask
from tasks.spec import nearest
from tasks.task import Task

SUBTASKS: dict[str, tuple[tuple[int, ...], tuple[float, ...], tuple[str, ...]]] = {
    "bottom_burner": ((11, 12), (-0.88, -0.01), ("bottom_knob", "bottom_burner")),
    "top_burner": ((15, 16), (-0.92, -0.01), ("top_knob", "top_burner")),
    "light_switch": ((17, 18), (-0.69, -0.05), ("light_switch", "light_block")),
    "slide_cabinet": ((19,), (0.37,), ("slide_cabinet",)),
    "hinge_cabinet": ((20, 21), (0.0, 1.45), ("hinge_cabinet",)),
    "microwave": ((22,), (-0.75,), ("microwave",)),
    "kettle": (
        (23, 24, 25, 26, 27, 28, 29), (-0.23, 0.75, 1.62, 0.99, 0.0, 0.0, -0.06),
        ("kettle_x", "kettle_y", "kettle_z"),
    ),
}  # fmt: skip
"""Places among the model's positions, goals (as the environment has them), and the fixtures that are moved."""


@cache
def named_tasks() -> dict[str, Task]:
    """The seven subtasks by name: the environment's names with underscores."""
    return {name: _subtask(name, *parts) for name, parts in SUBTASKS.items()}


def left_to_complete(tasks: Iterable[str], path: Float[ndarray, "T O"]) -> set[str]:
    """Which of some subtasks no observation on the way shows complete: the environment's `tasks_to_complete`.

    Args:
        tasks: names of subtasks, with underscores or spaces.
        path: observations after each control step of an episode so far.

    Raises:
        TaskError: no such subtask.
    """
    names = {name.replace(" ", "_"): name for name in tasks}
    for name in names:
        if name not in SUBTASKS:
            raise TaskError(f"franka_kitchen: no task {name!r}{nearest(name, list(SUBTASKS))}")
    obs, known = torch.from_numpy(path), named_tasks()
    return {given for name, given in names.items() if not bool(known[name].success(obs).any())}


def _subtask(name: str, places: tuple[int, ...], goal: tuple[float, ...], moved: tuple[str, ...]) -> Subtask:
    fixtures = tuple(spec().fixture(fixture) for fixture in moved)
    way = sum((INITIAL[place] - to) ** 2 for place, to in zip(places, goal, strict=True)) ** 0.5
    text = f"{name.replace('_', ' ')} as FrankaKitchen-v1 wants it"
    columns = tuple(ARM + place for place in places)
    return Subtask(name, text, "source", fixtures, columns, goal, fixtures[0].handle, way)
