"""Starts of episodes in which something is about to happen: the hand close to a handle."""

import mujoco
import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from tasks.scene import Scene

NEAREST, FARTHEST = 0.06, 0.20
"""How far from the handle the hand starts (m); at 0.05 it touches."""

_STATE = mujoco.mjtState.mjSTATE_FULLPHYSICS
_TRIES = 4
_PENETRATION = 0.002
"""Contacts deeper than this (m) would throw the hand out of the fixture it was put into."""


def sample_starts(scene: Scene, rng: np.random.Generator, n: int, near: float = 0.0) -> Float[ndarray, "n S"]:
    """Random starts, a share `near` of them with the hand 6 to 20 cm from a random handle."""
    return move_near(scene, rng, scene.sample_states(rng, n), near)


def move_near(
    scene: Scene, rng: np.random.Generator, states: Float[ndarray, "n S"], share: float
) -> Float[ndarray, "n S"]:
    """The same starts, with the hand of a share of them close to a random handle, away from the wall.

    Where the hand would stand inside a fixture, another place is drawn; after a few tries the start stays.
    """
    moved = np.array(states)
    if not scene.spec.fixtures:
        return moved
    rows = np.flatnonzero(rng.random(len(states)) < share)
    for _ in range(_TRIES):
        if not len(rows):
            break
        places = _placed(scene, rng, moved[rows])
        free = _free(scene, places)
        moved[rows[free]] = places[free]
        rows = rows[~free]
    return moved


def _placed(scene: Scene, rng: np.random.Generator, states: Float[ndarray, "n S"]) -> Float[ndarray, "n S"]:
    """The states with the hand close to a random handle."""
    if scene.lead:
        return scene.lead.approach(rng, states)
    columns, low, high = _hand(scene)
    states[:, columns] = np.clip(_targets(scene, rng, states), low, high)
    return states


def _hand(scene: Scene) -> tuple[ndarray, ndarray, ndarray]:
    """The hand's columns of the state, and its joints' limits."""
    joints = [scene.model.joint(scene.spec.observation[column].name) for column in scene.spec.hand]
    limits = np.array([joint.range for joint in joints])
    return np.array([1 + joint.qposadr[0] for joint in joints]), limits[:, 0], limits[:, 1]


def _targets(scene: Scene, rng: np.random.Generator, states: Float[ndarray, "n S"]) -> Float[ndarray, "n 3"]:
    """A place for each hand: a random handle and a random way from it."""
    obs = scene.observe(states).astype(np.float64)
    handles = np.array(sorted({fixture.handle for fixture in scene.spec.fixtures}))
    chosen = handles[rng.integers(len(handles), size=len(states))]
    vector = obs[np.arange(len(states))[:, None], chosen]
    way = rng.normal(size=(len(states), 3))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    way[:, 1] = -np.abs(way[:, 1])
    distance = rng.uniform(NEAREST, FARTHEST, (len(states), 1))
    placed: ndarray = obs[:, list(scene.spec.hand)] + vector + distance * way
    return placed


def _free(scene: Scene, states: Float[ndarray, "n S"]) -> Bool[ndarray, " n"]:
    """Whether nothing stands inside anything else."""
    data = mujoco.MjData(scene.model)
    physics = mujoco.mj_stateSize(scene.model, _STATE)  # what a scene keeps beside it comes after
    free = np.ones(len(states), bool)
    for i, state in enumerate(states):
        mujoco.mj_setState(scene.model, data, state[:physics], _STATE)
        mujoco.mj_forward(scene.model, data)
        free[i] = not data.ncon or float(data.contact.dist.min()) >= -_PENETRATION
    return free
