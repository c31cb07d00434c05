"""Simulator of Gymnasium environments that can only be reset and stepped.

A state here is a ticket: the seed of the reset, the steps since, the last reward, and the observation. The
scene keeps the running copy that a ticket belongs to, so the newest ticket of each copy can be stepped on. A
ticket of step 0 is good at any time: resetting with its seed leads there again.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.errors import TaskError
from tasks.gymnasium_env.loader import as_action
from tasks.gymnasium_env.mujoco_scene import refuse_fixtures
from tasks.simulator import Simulator
from tasks.spec import EnvSpec

KEPT = 64
"""Running copies that are kept, or twice a batch where that is more: those left alone longest are used again."""

TERMINATED, TRUNCATED = np.nan, np.inf
"""Rewards of the steps after an episode is over: neither is finite, and they tell how it ended."""

SEED, STEPS, REWARD, OBS = 0, 1, 2, 3
"""Columns of a ticket; observations begin at the last one."""


class StepOnlySimulator(Simulator):
    """Steps copies of an environment side by side.

    An episode that has terminated goes no further: what follows has a reward that is not a number, by which
    collection and evaluation see that it is over. There is no model, hence no picture and no oracle.

    Args:
        make: a new copy.
        spec: what is seen and done.
    """

    live = True

    def __init__(self, make: Callable[[], gymnasium.Env[Any, Any]], spec: EnvSpec) -> None:
        self.spec, self.look, self.observe = spec, None, _observe
        self.state_size = OBS + spec.obs_size
        self._make, self._fresh = make, make()
        self._running: OrderedDict[int, _Copy] = OrderedDict()
        self._now = np.zeros(self.state_size)
        self._low = np.array([variable.low for variable in spec.action], np.float32)
        self._high = np.array([variable.high for variable in spec.action], np.float32)

    def __getattr__(self, name: str) -> Any:
        if name in ("model", "data"):
            raise TaskError(
                f"{self.spec.name} has no MuJoCo model that we know of; there are no pictures of it"
            )
        raise AttributeError(name)

    def sample_states(
        self, rng: np.random.Generator, n: int, place: Mapping[str, float] | None = None
    ) -> Float[ndarray, "n S"]:
        """Starts as the environment's own `reset` draws them; no copy runs before it is stepped.

        Raises:
            TaskError: something is to be placed; there are no fixtures.
        """
        refuse_fixtures(self.spec.name, place or ())
        return np.stack([_started(self._fresh, int(seed)) for seed in rng.integers(2**31, size=n)])

    def set_state(self, state: Float[ndarray, " S"]) -> Float[ndarray, " O"]:
        """Take up a ticket; whether it is still good shows at the next step."""
        self._now = np.array(state, np.float64)
        observed: ndarray = _observe(self._now)
        return observed

    def get_state(self) -> Float[ndarray, " S"]:
        """The ticket as it is now."""
        return self._now.copy()

    def step(self, action: Float[ndarray, " A"]) -> Float[ndarray, " O"]:
        """One step of the environment.

        Raises:
            TaskError: the action is not finite, the episode has terminated, or the ticket is not the newest.
        """
        after = self.rollout(self._now[None], np.asarray(action)[None, None])[0, 0]
        if not np.isfinite(after).all():
            raise TaskError(f"{self.spec.name}: the episode has terminated; begin another one")
        return self.set_state(after)

    def rollout(
        self, states: Float[ndarray, "B S"], actions: Float[ndarray, "B T A"]
    ) -> Float[ndarray, "B T S"]:
        """The tickets after each of T steps from the newest ticket of each of B copies, which go on so far.

        Raises:
            TaskError: an action is not finite, or a ticket is not the newest of its copy: one state cannot be
                followed twice.
        """
        actions = self._checked(actions)
        if len(np.unique(states[:, SEED])) < len(states):
            raise self._cannot()
        kept = max(KEPT, 2 * len(states))
        copies = [self._copy(state, kept) for state in states]
        while len(self._running) > kept:
            self._running.popitem(last=False)[1].env.close()
        path = np.empty((*actions.shape[:2], self.state_size))
        for b, copy in enumerate(copies):
            for t, action in enumerate(actions[b]):
                path[b, t] = copy.step(action)
        return path

    def _copy(self, state: Float[ndarray, " S"], kept: int) -> "_Copy":
        """The running copy whose newest ticket this is, made now where it is a start."""
        seed = int(state[SEED])
        copy = self._running.get(seed)
        if copy is None or not np.array_equal(copy.ticket, state, equal_nan=True):
            if state[STEPS] != 0:
                raise self._cannot()
            if copy is None and len(self._running) >= kept:
                copy = self._running.popitem(last=False)[1]
            copy = _Copy(copy.env if copy else self._make(), seed)
            if not np.array_equal(copy.ticket, state):
                raise TaskError(
                    f"{self.spec.name}: reset with the same seed gives another start each time; begin its reset with "
                    "`super().reset(seed=seed)`, and draw from `self.np_random`"
                )
            self._running[seed] = copy
        self._running.move_to_end(seed)
        return copy

    def _cannot(self) -> TaskError:
        return TaskError(
            f"{self.spec.name} cannot be set to a state, only stepped on from where it is; "
            "plan with a learned model instead of the oracle"
        )


class _Copy:
    """One running environment and its newest ticket."""

    def __init__(self, env: gymnasium.Env[Any, Any], seed: int) -> None:
        self.env, self.ticket = env, _started(env, seed)
        self._over = 0.0

    def step(self, action: Float[ndarray, " A"]) -> Float[ndarray, " S"]:
        """The next ticket."""
        after = self.ticket.copy()
        after[STEPS] += 1
        if self._over:
            after[REWARD] = self._over
        else:
            space: Any = self.env.action_space
            obs, reward, terminated, truncated, _ = self.env.step(as_action(space, action))
            after[REWARD], after[OBS:] = reward, obs
            if terminated or truncated:
                self._over = TERMINATED if terminated else TRUNCATED
        self.ticket = after
        return after


def _started(env: gymnasium.Env[Any, Any], seed: int) -> Float[ndarray, " S"]:
    return np.concatenate([[seed, 0.0, 0.0], env.reset(seed=seed)[0]])


def _observe(states: Float[ndarray, "*b S"]) -> Float[ndarray, "*b O"]:
    return states[..., OBS:].astype(np.float32)
