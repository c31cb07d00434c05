"""Episodes in lock step: a behaviour acts in B copies of the scene until all have ended."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.collecting.behaviours import Behaviour
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

    An episode whose simulation diverges ends before that step and says so; one that the environment ends is marked as
    terminated.
    """
    path, actions, now = [states], [], states
    for _ in range(steps):
        action = np.asarray(behaviour.act(scene.observe(now), now), np.float32)
        after = scene.rollout(now, action[:, None])[:, 0]
        actions.append(action)
        path.append(after)
        # What has diverged waits where it was last sound: planners need numbers to plan from.
        now = after if scene.live else np.where(np.isfinite(after).all(axis=1, keepdims=True), after, now)
    return sound_parts(scene, np.stack(path, axis=1), np.stack(actions, axis=1), tag, [seed] * len(states))


def sound_parts(
    scene: Scene,
    path: Float[ndarray, "B M S"],
    actions: Float[ndarray, "B T A"],
    tag: str,
    seeds: Sequence[int],
) -> list[Episode]:
    """Episodes up to the first state that is not made of numbers; those that do not get through a step are none.

    Args:
        scene: where they happened.
        path: states, M = T + 1.
        actions: what was done.
        tag: the behaviour.
        seeds: one for each of the B episodes.
    """
    steps = actions.shape[1]
    length = np.logical_and.accumulate(np.isfinite(path).all(axis=2), axis=1).sum(axis=1) - 1
    return [
        Episode(
            obs=scene.observe(path[b, : n + 1]), actions=actions[b, :n], state=path[b, : n + 1], behaviour=tag,
            seed=seeds[b], terminated=bool(n < steps and scene.live),
            truncated=bool(n == steps or not scene.live), diverged=bool(n < steps and not scene.live),
        )
        for b, n in enumerate(length)
        if n > 0
    ]  # fmt: skip
