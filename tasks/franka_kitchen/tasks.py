"""The seven subtasks of FrankaKitchen.

All of them are source tasks: which ones are left out of data collection is a question of the experiment, and
`--tasks` says it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from tasks.errors import TaskError
from tasks.franka_kitchen.scene import INITIAL
from tasks.franka_kitchen.spec import ARM, spec
from tasks.spec import Fixture, nearest
from tasks.task import Task

THRESHOLD = 0.3
"""Complete within this distance of the goal (`BONUS_THRESH` there), radians, metres and quaternions alike."""


@dataclass(frozen=True)
class Subtask(Task):
    """Bring one thing to where FrankaKitchen wants it.

    Attributes:
        moved: the fixtures that it moves; they share a handle, or all but the first are to stay.
        columns: of the positions that count.
        goal: where they shall be.
        handle: columns of the vector from the hand to the handle.
        way: distance from the goal at the environment's start.
    """

    moved: tuple[Fixture, ...]
    columns: tuple[int, ...]
    goal: tuple[float, ...]
    handle: tuple[int, int, int]
    way: float

    def reward(
        self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b O"]
    ) -> Float[Tensor, "*b"]:
        """Minus the way to the handle (m), minus three times the share of the way left, plus 1 when complete."""
        reach = next_obs[..., list(self.handle)].norm(dim=-1)
        return self.success(next_obs).to(reach) - reach - 3.0 * self.distance(next_obs) / self.way

    def success(self, obs: Float[Tensor, "*b O"]) -> Bool[Tensor, "*b"]:
        """Within `THRESHOLD` of the goal."""
        return self.distance(obs) < THRESHOLD

    @property
    def fixtures(self) -> tuple[Fixture, ...]:
        """What it moves."""
        return self.moved

    def distance(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b"]:
        """Euclidean distance of the positions from the goal."""
        return (obs[..., list(self.columns)] - obs.new_tensor(self.goal)).norm(dim=-1)


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
