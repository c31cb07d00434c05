"""Short side branches of episodes: what would have come of other actions, from where something was going on."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.collecting.runner import sound_parts
from mbtransfer.episode import Episode
from tasks.scene import Scene

STEPS = 12
"""Control steps of a branch: about as far as plans look ahead."""

_MEMORY = 0.9
"""Share of the noise on an action that stays at the next step."""

_SPREAD = (0.1, 1.0)
"""Least and greatest spread of a branch's noise, as a share of half the action range."""

TAG = "branch"


def branch(scene: Scene, episodes: Sequence[Episode], each: int, rng: np.random.Generator) -> list[Episode]:
    """Branches that leave the episodes at random states: their own actions with noise, little or much of it.

    Planners compare plans, most of them worse than what was done in the end: a model must know these as well.

    Args:
        scene: the world.
        episodes: where to begin.
        each: branches of every episode.
        rng: source of the noise.
    """
    long = [episode for episode in episodes if len(episode) > STEPS]
    if not each or not long:
        return []
    origins = [episode for episode in long for _ in range(each)]
    first = [int(rng.integers(len(episode) - STEPS + 1)) for episode in origins]
    states = np.stack([e.state[t] for e, t in zip(origins, first, strict=True)])
    actions = np.stack([e.actions[t : t + STEPS] for e, t in zip(origins, first, strict=True)])
    low, high = (np.array([getattr(a, end) for a in scene.spec.action]) for end in ("low", "high"))
    noisy = actions + (high - low) / 2 * _noise(rng, actions.shape)
    done = np.clip(noisy, low, high).astype(np.float32)
    path = np.concatenate([states[:, None], scene.rollout(states, done)], axis=1)
    return sound_parts(scene, path, done, TAG, [origin.seed for origin in origins])


def _noise(rng: np.random.Generator, shape: tuple[int, ...]) -> Float[ndarray, "n T A"]:
    """Random walks that forget slowly, each of a spread of its own."""
    steps = rng.normal(size=shape)
    for t in range(1, shape[1]):
        steps[:, t] = _MEMORY * steps[:, t - 1] + (1 - _MEMORY**2) ** 0.5 * steps[:, t]
    spread: Float[ndarray, "n 1 1"] = rng.uniform(*_SPREAD, (shape[0], 1, 1))
    return spread * steps
