"""Start states in which a task is not yet solved."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.errors import TaskError
from tasks.simulator import Simulator
from tasks.task import Task


def fresh_states(
    scene: Simulator, task: Task, rng: np.random.Generator, n: int, tries: int = 200
) -> Float[ndarray, "n S"]:
    """Random starts from which the task is still to be done: the task's own, where it has such.

    Raises:
        TaskError: hardly any start leaves the task undone.
    """
    own = task.start_states(rng, n)
    if own is not None:
        return own
    found: list[ndarray] = []
    for _ in range(tries):
        states = scene.sample_states(rng, max(8, 4 * n))
        fresh = task.is_valid_start(scene.observe_privileged(states, task.privileged))
        found.extend(states[fresh.numpy()])
        if len(found) >= n:
            return np.array(found[:n])
    raise TaskError(f"task {task.name!r}: no start found that leaves it undone; is its success always true?")
