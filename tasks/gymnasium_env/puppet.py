"""A MuJoCo environment of Gymnasium that can be put into any state, exactly as its own `step` leaves it.

After `mj_step` the positions and velocities are new, but what MuJoCo derives from them (where bodies are,
contact forces) is still that of the last physics step's beginning, and Gymnasium's observations and rewards
read it so. A state therefore holds three things: the physics now, the physics one physics step before, and
the controls in between; doing that one step again brings the derived quantities back. After a reset both
halves are the same.
"""

from typing import Any

import gymnasium
import mujoco
import numpy as np
from gymnasium.spaces import Box
from jaxtyping import Float
from numpy import ndarray

from tasks.gymnasium_env.spaces import as_action

STATE = mujoco.mjtState.mjSTATE_FULLPHYSICS


def looks_like_mujoco(env: gymnasium.Env[Any, Any]) -> bool:
    """Whether this has what a `MujocoEnv` has, and one actuator for each action."""
    inner = env.unwrapped
    model, data = getattr(inner, "model", None), getattr(inner, "data", None)
    parts = hasattr(inner, "_get_obs") and isinstance(getattr(inner, "frame_skip", None), int)
    if not (parts and isinstance(model, mujoco.MjModel) and isinstance(data, mujoco.MjData)):
        return False
    return isinstance(env.action_space, Box) and env.action_space.shape == (model.nu,)


class Puppet:
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
