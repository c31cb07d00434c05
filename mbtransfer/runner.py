"""Episodes in lock step: a behaviour acts in B copies of the scene until all have ended."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.behaviours import Behaviour
from mbtransfer.episode import Episode
from tasks.errors import TaskError
from tasks.scene import Scene
from tasks.task import Task


def fresh_states(
    scene: Scene, task: Task, rng: np.random.Generator, n: int, tries: int = 200
) -> Float[ndarray, "n S"]:
    """Random starts from which the task is still to be done.

    Raises:
        TaskError: hardly any start leaves the task undone.
    """
    found: list[ndarray] = []
    for _ in range(tries):
        states = scene.sample_states(rng, max(8, 4 * n))
        fresh = task.fresh(scene.shown(states, task.needs_state))
        found.extend(states[fresh.numpy()])
        if len(found) >= n:
            return np.array(found[:n])
    raise TaskError(f"task {task.name!r}: no start found that leaves it undone; is its success always true?")


def run_lockstep(
    scene: Scene, behaviour: Behaviour, states: Float[ndarray, "B S"], steps: int, *, tag: str, seed: int
) -> list[Episode]:
    """B episodes of `steps` control steps, all of them finished at the same moment.

    An episode whose simulation diverges ends before that step and is marked as terminated.
    """
    path, actions = [states], []
    for _ in range(steps):
        action = np.asarray(behaviour.act(scene.observe(path[-1]), path[-1]), np.float32)
        actions.append(action)
        path.append(scene.rollout(path[-1], action[:, None])[:, 0])
    state, action = np.stack(path, axis=1), np.stack(actions, axis=1)
    length = np.isfinite(state).all(axis=2).sum(axis=1) - 1
    return [
        Episode(
            obs=scene.observe(state[b, : n + 1]), actions=action[b, :n], state=state[b, : n + 1],
            behaviour=tag, seed=seed, terminated=bool(n < steps), truncated=bool(n == steps),
        )
        for b, n in enumerate(length)
        if n > 0
    ]  # fmt: skip
