"""Batched rollouts of a collection policy: start states, episodes and side branches."""

from collections.abc import Sequence

import mujoco
import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from mbtransfer.collection.policies import Behaviour
from mbtransfer.data.episode import Episode
from tasks.simulator import Simulator

NEAREST, FARTHEST = 0.06, 0.20
"""Range of the distance of hand and handle at the start (m); at 0.05 the hand touches."""

_STATE = mujoco.mjtState.mjSTATE_FULLPHYSICS
_TRIES = 4
_PENETRATION = 0.002
"""Contacts deeper than this (m) would throw the hand out of the fixture that it was placed in."""


def sample_starts(
    scene: Simulator, rng: np.random.Generator, n: int, near: float = 0.0
) -> Float[ndarray, "n S"]:
    """Random start states; in a share `near` of them the hand is 6 to 20 cm from a random handle."""
    return move_near(scene, rng, scene.sample_states(rng, n), near)


def move_near(
    scene: Simulator, rng: np.random.Generator, states: Float[ndarray, "n S"], share: float
) -> Float[ndarray, "n S"]:
    """The same states, with the hand of a share of them close to a random handle, away from the wall.

    If the hand would be inside a fixture, another place is drawn; after a few tries the state is left unchanged.
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


def _placed(
    scene: Simulator, rng: np.random.Generator, states: Float[ndarray, "n S"]
) -> Float[ndarray, "n S"]:
    """The states with the hand placed close to a random handle."""
    if scene.hand_controller:
        return scene.hand_controller.approach(rng, states)
    columns, low, high = _hand(scene)
    states[:, columns] = np.clip(_targets(scene, rng, states), low, high)
    return states


def _hand(scene: Simulator) -> tuple[ndarray, ndarray, ndarray]:
    """The hand's columns in the state, and the limits of its joints."""
    joints = [scene.model.joint(scene.spec.observation[column].name) for column in scene.spec.hand]
    limits = np.array([joint.range for joint in joints])
    return np.array([1 + joint.qposadr[0] for joint in joints]), limits[:, 0], limits[:, 1]


def _targets(
    scene: Simulator, rng: np.random.Generator, states: Float[ndarray, "n S"]
) -> Float[ndarray, "n 3"]:
    """A position for each hand: at a random handle, with a random offset."""
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


def _free(scene: Simulator, states: Float[ndarray, "n S"]) -> Bool[ndarray, " n"]:
    """Whether no body penetrates another one."""
    data = mujoco.MjData(scene.model)
    physics = mujoco.mj_stateSize(scene.model, _STATE)  # additional values of a scene come after these
    free = np.ones(len(states), bool)
    for i, state in enumerate(states):
        mujoco.mj_setState(scene.model, data, state[:physics], _STATE)
        mujoco.mj_forward(scene.model, data)
        free[i] = not data.ncon or float(data.contact.dist.min()) >= -_PENETRATION
    return free


def run_lockstep(
    scene: Simulator, behaviour: Behaviour, states: Float[ndarray, "B S"], steps: int, *, tag: str, seed: int
) -> list[Episode]:
    """Run B episodes of `steps` control steps in lockstep.

    An episode whose simulation diverges ends before that step and is marked as diverged; one that the environment ends
    is marked as terminated.
    """
    path, actions, now = [states], [], states
    for _ in range(steps):
        action = np.asarray(behaviour.act(scene.observe(now), now), np.float32)
        after = scene.rollout(now, action[:, None])[:, 0]
        actions.append(action)
        path.append(after)
        # A diverged episode stays in its last finite state: planners need finite numbers.
        now = after if scene.live else np.where(np.isfinite(after).all(axis=1, keepdims=True), after, now)
    return sound_parts(scene, np.stack(path, axis=1), np.stack(actions, axis=1), tag, [seed] * len(states))


def sound_parts(
    scene: Simulator,
    path: Float[ndarray, "B M S"],
    actions: Float[ndarray, "B T A"],
    tag: str,
    seeds: Sequence[int],
) -> list[Episode]:
    """Episodes up to their first state that is not finite; those without a single step are dropped.

    Args:
        scene: the simulator in which they ran.
        path: states, M = T + 1.
        actions: the actions taken.
        tag: name of the behaviour.
        seeds: one for each of the B episodes.
    """
    length = np.logical_and.accumulate(np.isfinite(path).all(axis=2), axis=1).sum(axis=1) - 1
    return [
        _episode(scene, path[b], actions[b], n, tag, seeds[b]) for b, n in enumerate(length.tolist()) if n > 0
    ]


def _episode(
    scene: Simulator, path: Float[ndarray, "M S"], actions: Float[ndarray, "T A"], n: int, tag: str, seed: int
) -> Episode:
    """The first n steps; an early end means termination in a live environment, and divergence in other simulations."""
    early = n < len(actions)
    terminated = early and scene.live and bool(np.isnan(path[n + 1]).any())
    return Episode(
        obs=scene.observe(path[: n + 1]), actions=actions[:n], state=path[: n + 1], behaviour=tag, seed=seed,
        terminated=terminated, truncated=not terminated, diverged=early and not scene.live,
    )  # fmt: skip


STEPS = 12
"""Control steps of a branch, about as many as plans look ahead."""

_MEMORY = 0.9
"""Autocorrelation of the noise on an action."""

_SPREAD = (0.1, 1.0)
"""Smallest and largest standard deviation of a branch's noise, as a share of half the action range."""

TAG = "branch"


def branch(
    scene: Simulator, episodes: Sequence[Episode], each: int, rng: np.random.Generator
) -> list[Episode]:
    """Branch off the episodes at random states: repeat their own actions with more or less noise.

    Planners compare plans, most of them worse than the one that is executed: a model must predict these as well.

    Args:
        scene: the simulator.
        episodes: the episodes to branch off.
        each: number of branches per episode.
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
    """Autocorrelated noise; each branch has its own standard deviation."""
    steps = rng.normal(size=shape)
    for t in range(1, shape[1]):
        steps[:, t] = _MEMORY * steps[:, t - 1] + (1 - _MEMORY**2) ** 0.5 * steps[:, t]
    spread: Float[ndarray, "n 1 1"] = rng.uniform(*_SPREAD, (shape[0], 1, 1))
    return spread * steps
