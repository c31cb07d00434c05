"""Simulator of Gymnasium's MuJoCo environments, whose state can be set."""

from collections.abc import Mapping
from typing import Any

import gymnasium
import mujoco
import numpy as np
from gymnasium.spaces import Box
from gymnasium.wrappers import StickyAction
from jaxtyping import Float
from numpy import ndarray

from tasks.errors import TaskError
from tasks.gymnasium_env.loader import as_action, wrappers
from tasks.simulator import RolloutSimulator, stand_in
from tasks.spec import EnvSpec

STATE = mujoco.mjtState.mjSTATE_FULLPHYSICS


def looks_like_mujoco(env: gymnasium.Env[Any, Any]) -> bool:
    """Whether this has what a `MujocoEnv` has, and one actuator for each action."""
    if any(isinstance(wrapper, StickyAction) for wrapper in wrappers(env)):
        return False  # what an action does is drawn at random
    inner = env.unwrapped
    model, data = getattr(inner, "model", None), getattr(inner, "data", None)
    parts = hasattr(inner, "_get_obs") and isinstance(getattr(inner, "frame_skip", None), int)
    if not (parts and isinstance(model, mujoco.MjModel) and isinstance(data, mujoco.MjData)):
        return False
    return isinstance(env.action_space, Box) and env.action_space.shape == (model.nu,)


class StateSettableEnv:
    """One instance, moved from state to state; `state_size` is S, `physics` the columns of each half.

    Args:
        env: an environment that looks like MuJoCo's.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        env.reset(seed=0)
        self.env, self._inner = env, env.unwrapped
        self.model: mujoco.MjModel = self._inner.model  # type: ignore[attr-defined]
        self.data: mujoco.MjData = self._inner.data  # type: ignore[attr-defined]
        self.frame_skip: int = self._inner.frame_skip  # type: ignore[attr-defined]
        self.physics = mujoco.mj_stateSize(self.model, STATE)
        self.state_size = 2 * self.physics + self.model.nu

    def start(self, seed: int) -> Float[ndarray, " S"]:
        """The state after a reset."""
        self.env.reset(seed=seed)
        now = np.empty(self.physics)
        mujoco.mj_getState(self.model, self.data, now, STATE)
        return np.concatenate([now, now, np.zeros(self.model.nu)])

    def observe(self, state: Float[ndarray, " S"]) -> Float[ndarray, " O"]:
        """What the environment sees in a state; not a number where the state is none."""
        if not np.isfinite(state).all():
            return np.full(self.env.observation_space.shape or (), np.nan, np.float32)
        self._put(state)
        seen: ndarray = np.asarray(self._inner._get_obs(), np.float32)  # type: ignore[attr-defined]
        return seen

    def reward(self, state: Float[ndarray, " S"], action: Float[ndarray, " A"]) -> float:
        """What the environment's own `step` gives for an action in a state."""
        if not np.isfinite(state).all():
            return float("nan")
        self._put(state)
        self.data.qacc_warmstart[:] = 0.0
        space = self.env.action_space
        assert isinstance(space, Box)
        return float(self._inner.step(as_action(space, action))[1])

    def _put(self, state: Float[ndarray, " S"]) -> None:
        model, data = self.model, self.data
        now, before = state[: self.physics], state[self.physics : 2 * self.physics]
        data.ctrl[:] = state[2 * self.physics :]
        data.qacc_warmstart[:] = 0.0
        if (now == before).all():
            mujoco.mj_setState(model, data, now, STATE)
            mujoco.mj_forward(model, data)
            return
        mujoco.mj_setState(model, data, before, STATE)
        mujoco.mj_step(model, data)
        mujoco.mj_setState(model, data, now, STATE)
        mujoco.mj_rnePostConstraint(model, data)  # contact forces, as MujocoEnv asks for them


class MujocoScene(RolloutSimulator):
    """Next states are those of the environment's own `step`, bit for bit, with the solver started cold.

    Observations are read one by one from the environment itself, 15 to 180 microseconds each: the price of
    knowing nothing about it. Episodes do not terminate.

    Args:
        puppet: the environment.
        spec: what is seen and done.
    """

    def __init__(self, puppet: StateSettableEnv, spec: EnvSpec) -> None:
        super().__init__(puppet.model, spec, self._see, _as_it_is, self._draw)
        self.state_size = puppet.state_size
        self._puppet, self._now = puppet, puppet.start(0)
        self._substeps = puppet.frame_skip

    def sample_states(
        self, rng: np.random.Generator, n: int, place: Mapping[str, float] | None = None
    ) -> Float[ndarray, "n S"]:
        """Starts as the environment's own `reset` draws them.

        Raises:
            TaskError: something is to be placed; there are no fixtures.
        """
        refuse_fixtures(self.spec.name, place or ())
        return self._draw(rng, n)

    def rollout(
        self, states: Float[ndarray, "B S"], actions: Float[ndarray, "B T A"]
    ) -> Float[ndarray, "B T S"]:
        """The states after each of T control steps from each of B starts; the scene itself stays as it is.

        Raises:
            TaskError: an action is not finite.
        """
        controls = self._checked(actions).astype(np.float64)
        path = np.empty((*controls.shape[:2], self.state_size))
        now = np.ascontiguousarray(states[:, : self._puppet.physics])
        for t in range(controls.shape[1]):
            held = np.repeat(controls[:, t : t + 1], self._substeps, axis=1)
            passed = self._pool.rollout(self.model, self._scratch, stand_in(self.model, now), held)[0]
            before = passed[:, -2] if self._substeps > 1 else now
            now = self._marked(now, passed[:, -1])
            path[:, t] = np.concatenate([now, before, controls[:, t]], axis=1)
        return path

    def _see(self, states: Float[ndarray, "*b S"]) -> Float[ndarray, "*b O"]:
        rows = states.reshape(-1, self.state_size)
        seen = np.empty((len(rows), self.spec.obs_size), np.float32)
        for i, state in enumerate(rows):
            seen[i] = self._puppet.observe(state)
        return seen.reshape(*states.shape[:-1], self.spec.obs_size)

    def _draw(self, rng: np.random.Generator, n: int) -> Float[ndarray, "n S"]:
        return np.stack([self._puppet.start(int(seed)) for seed in rng.integers(2**31, size=n)])


def refuse_fixtures(name: str, fixtures: Mapping[str, float] | tuple[str, ...]) -> None:
    """Say that there are none.

    Raises:
        TaskError: a fixture is named.
    """
    for fixture in fixtures:
        raise TaskError(f"{name}: no fixture {fixture!r}; a Gymnasium environment has none")


def _as_it_is(actions: ndarray) -> ndarray:
    return actions
