"""What a state is worth: Meta-World's own reward and success, asked of its own environment in that state."""

from typing import Any

import mujoco
import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.metaworld.kinematics import POINT

_STATE = mujoco.mjtState.mjSTATE_FULLPHYSICS


class Judge:
    """One environment of Meta-World, put into any state, about 0.1 ms each.

    Args:
        theirs: the environment, after its reset: rewards compare with how an episode began.
    """

    def __init__(self, theirs: Any) -> None:
        self._theirs = theirs
        space = theirs.sawyer_observation_space
        self._low, self._high = space.low, space.high

    def reward(
        self, states: Float[ndarray, "n S"], actions: Float[ndarray, "n A"], reached: Float[ndarray, "n S"]
    ) -> Float[ndarray, " n"]:
        """The reward (0 to 10) at the end of each transition; not a number where there is no state."""
        return np.array([self._judged(s, a)[0] for s, a in zip(reached, actions, strict=True)])

    def success(
        self, states: Float[ndarray, "n S"], actions: Float[ndarray, "n A"], reached: Float[ndarray, "n S"]
    ) -> Float[ndarray, " n"]:
        """Success, 0 or 1, in the states reached; no action counts for it."""
        idle = np.zeros(4)
        return np.array([self._judged(state, idle)[1] for state in reached])

    def _judged(self, state: Float[ndarray, " S"], action: Float[ndarray, " A"]) -> tuple[float, float]:
        if not np.isfinite(state).all():
            return float("nan"), 0.0
        theirs, model, data = self._theirs, self._theirs.model, self._theirs.data
        mujoco.mj_setState(model, data, np.ascontiguousarray(state[:-POINT]), _STATE)
        data.mocap_pos[0] = state[-POINT:]
        data.ctrl[:] = action[3], -action[3]
        data.qacc_warmstart[:] = 0.0
        mujoco.mj_forward(model, data)
        now = theirs._get_curr_obs_combined_no_goal()
        seen = np.concatenate([now, now, theirs._get_pos_goal()])
        worth, told = theirs.evaluate_state(np.clip(seen, self._low, self._high), action)
        return float(worth), float(told["success"])
