"""A control for the Franka kitchen: success as there, a reward of the distance to the handle alone.

What a planner gets with this, it gets by bumping into things. `mbtransfer evaluate --task-file
examples/franka_distance_only.py --reward true --model MODEL`
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from tasks.franka_kitchen.catalogue import named_tasks
from tasks.franka_kitchen.subtask import Subtask
from tasks.task import Task


@dataclass(frozen=True)
class _DistanceOnly(Task):
    """The subtask `of`, with nothing said of where its object shall go."""

    of: Subtask

    def reward(self, obs: Tensor, action: Tensor, next_obs: Tensor) -> Tensor:
        """Minus the way to the handle (m)."""
        return -next_obs[..., list(self.of.handle)].norm(dim=-1)

    def success(self, obs: Tensor) -> Tensor:
        """As the environment judges."""
        return self.of.success(obs)


TASKS = [
    _DistanceOnly(f"{name}_by_distance", f"{task.description}, by distance alone", "user", task)
    for name, task in named_tasks().items()
    if isinstance(task, Subtask)
]
