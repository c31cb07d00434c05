"""A control: the success of a task, and a reward that says no more than where its handle is."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from tasks.errors import TaskError
from tasks.task import Task


@dataclass(frozen=True)
class Approach(Task):
    """The task `of` judged as ever, rewarded for the nearness of hand and handle alone.

    What a planner reaches with this it reaches by bumping into things; only success beyond it says that
    a model knows how the thing moves.
    """

    of: Task
    handle: tuple[int, int, int]

    def reward(
        self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b O"]
    ) -> Float[Tensor, "*b"]:
        """Minus the way to the handle (m)."""
        return -next_obs[..., list(self.handle)].norm(dim=-1)

    def success(self, obs: Float[Tensor, "*b O"]) -> Bool[Tensor, "*b"]:
        """That of the task."""
        return self.of.success(obs)

    def fresh(self, obs: Float[Tensor, "*b O"]) -> Bool[Tensor, "*b"]:
        """That of the task."""
        return self.of.fresh(obs)


def approaches(tasks: Sequence[Task]) -> list[Task]:
    """The control of each task.

    Raises:
        TaskError: a task that moves no fixture, so that there is no handle to go to.
    """
    for task in tasks:
        if not task.fixtures:
            raise TaskError(f"task {task.name} moves no fixture: there is no handle to be near to")
    return [
        Approach(task.name, task.description, task.split, task, task.fixtures[0].handle) for task in tasks
    ]
