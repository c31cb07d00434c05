"""Scripted collection policies on batches of observations; no model, no reward."""

from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.collection.noise import CorrelatedNoise
from mbtransfer.errors import UserError
from tasks.environment import Environment
from tasks.hand_control import HAND_ACTION, REACH, HandController
from tasks.simulator import Simulator
from tasks.spec import EnvSpec


@runtime_checkable
class Behaviour(Protocol):
    """Chooses actions in B episodes at once."""

    def act(self, obs: Float[ndarray, "B O"], state: Float[ndarray, "B S"]) -> Float[ndarray, "B A"]:
        """The next action of each episode."""
        ...


class Noise:
    """Correlated noise over the whole action space."""

    def __init__(self, spec: EnvSpec, batch: int, rng: np.random.Generator, memory: float = 0.9) -> None:
        self._noise, self._shape = CorrelatedNoise(rng, memory), (batch, spec.action_size)
        self._noise.draw(self._shape)
        low, high = (np.array([getattr(action, end) for action in spec.action]) for end in ("low", "high"))
        self._middle, self._half = (low + high) / 2, (high - low) / 2

    def act(self, obs: Float[ndarray, "B O"], state: Float[ndarray, "B S"]) -> Float[ndarray, "B A"]:
        """See `Behaviour.act`."""
        return self._middle + self._half * self._noise.draw(self._shape)


class Played:
    """The play that an environment brings along.

    Raises:
        UserError: it brings none.
    """

    def __init__(self, world: Environment, batch: int, rng: np.random.Generator) -> None:
        check_play(world)
        assert world.play is not None
        self._play = world.play(batch, rng)

    def act(self, obs: Float[ndarray, "B O"], state: Float[ndarray, "B S"]) -> Float[ndarray, "B A"]:
        """See `Behaviour.act`."""
        return self._play(obs, state)


def check_play(world: Environment) -> None:
    """See that the behaviour `play` can be used.

    Raises:
        UserError: the environment brings none along.
    """
    if world.play is None:
        raise UserError(f"{world.spec.name} brings no play of its own; use babble or noise")


PROBE = 5
"""Control steps of a pull along one axis."""


class Babble:
    """Handle babbling: go to a handle, grasp it (or just push), pull it around, go to the next one.

    This behaviour made the shared model good: it needs no reward and no model, and it moves every fixture. `reach_only`
    stops at the handles (the reaching behaviour). `probe` keeps its grasp and pulls along each axis and back, one after
    the other, so that one episode shows how a fixture moves. Within `reach` (m) of a handle the hand grasps.
    """

    def __init__(
        self, spec: EnvSpec, batch: int, rng: np.random.Generator, *,
        fixtures: tuple[str, ...] = (), reach_only: bool = False, probe: bool = False, reach: float = REACH,
    ) -> None:  # fmt: skip
        chosen = [spec.fixture(name) for name in fixtures] or spec.fixtures
        self._handles = np.array(sorted({fixture.handle for fixture in chosen}))
        self._rng, self._reach_only, self._probe, self._reach = rng, reach_only, probe, reach
        self._axes = np.concatenate([np.eye(3), -np.eye(3)])[
            rng.permuted(np.tile(np.arange(6), (batch, 1)), axis=1)
        ]
        self._turn = np.zeros(batch, int)
        self._noise = Noise(spec, batch, rng, memory=0.8)
        self._target = rng.integers(len(self._handles), size=batch)
        self._pull = np.zeros((batch, 3))
        self._grip = np.zeros(batch)
        self._left = np.zeros(batch, int)

    def act(self, obs: Float[ndarray, "B O"], state: Float[ndarray, "B S"]) -> Float[ndarray, "B A"]:
        """See `Behaviour.act`."""
        rows = np.arange(len(obs))[:, None]
        vector = obs[rows, self._handles[self._target]]
        near = np.linalg.norm(vector, axis=1) < self._reach
        begin = near & (self._left == 0)
        self._begin(begin)
        pulling = self._left > 0
        action = self._noise.act(obs, state) * np.where(pulling, 0.5, 0.25)[:, None]
        action[:, :3] += np.where(pulling[:, None], self._pull, vector / 0.06)
        action[:, 3] = np.where(pulling, self._grip, np.where(near, 1.0, action[:, 3]))
        self._end(pulling)
        return np.clip(action, -1.0, 1.0)

    def _begin(self, rows: ndarray) -> None:
        n = int(rows.sum())
        direction = self._rng.normal(size=(n, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        self._pull[rows] = 0.0 if self._reach_only else direction * self._rng.uniform(0.3, 1.2, (n, 1))
        self._grip[rows] = np.where(self._rng.random(n) < 0.75, 1.0, -1.0)
        self._left[rows] = self._rng.integers(3, 14, n)
        if self._probe:
            self._pull[rows] = self._axes[rows, self._turn[rows] % 6]
            self._grip[rows], self._left[rows] = 1.0, PROBE
            self._turn[rows] += 1

    def _end(self, pulling: ndarray) -> None:
        """End pulls after a few steps; then 40% of the hands go to a random handle."""
        self._left[pulling] -= 1
        leave = pulling & (self._left == 0) & (self._rng.random(len(pulling)) < 0.4)
        self._target[leave] = self._rng.integers(len(self._handles), size=int(leave.sum()))


class HandControlledPolicy:
    """Runs a behaviour for a hand that moves along x, y and z on an arm with joints.

    Args:
        wishes: the behaviour; its actions are as in `tasks.hand_control.HAND_ACTION`.
        hand_controller: converts them into actions of the arm.
        noise: noise added to each action, so that the posture of the arm varies.
        share: scale of the noise.
    """

    def __init__(
        self, wishes: Behaviour, hand_controller: HandController, noise: Noise, share: float = 0.15
    ) -> None:
        self._wishes, self._lead, self._noise, self._share = wishes, hand_controller, noise, share

    def act(self, obs: Float[ndarray, "B O"], state: Float[ndarray, "B S"]) -> Float[ndarray, "B A"]:
        """See `Behaviour.act`."""
        action = self._lead.steer(state, self._wishes.act(obs, state))
        return action + self._share * self._noise.act(obs, state)


def babbling(
    scene: Simulator, batch: int, rng: np.random.Generator, *,
    fixtures: tuple[str, ...] = (), reach_only: bool = False, probe: bool = False,
) -> Behaviour:  # fmt: skip
    """`Babble` with the scene's own actions, or through its hand controller if it has one."""
    hand_controller = scene.hand_controller
    spec = replace(scene.spec, action=HAND_ACTION) if hand_controller else scene.spec
    babble = Babble(
        spec, batch, rng, fixtures=fixtures, reach_only=reach_only, probe=probe,
        reach=hand_controller.reach if hand_controller else REACH,
    )  # fmt: skip
    return (
        HandControlledPolicy(babble, hand_controller, Noise(scene.spec, batch, rng))
        if hand_controller
        else babble
    )
