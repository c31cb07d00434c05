"""Meta-World tasks with their native reward and success."""

from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from tasks.metaworld.inverse_kinematics import POINT
from tasks.privileged_task import PhysicsTask
from tasks.spec import Fixture

_STATE = mujoco.mjtState.mjSTATE_FULLPHYSICS


class NativeReward:
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


BEGUN = 0.05
"""An episode may start with each fixture within this share of its range from where Meta-World starts it."""


@dataclass(frozen=True)
class MetaWorldTask(PhysicsTask):
    """A task of Meta-World.

    Attributes:
        moved: the fixtures that it moves.
        begin: where they are at Meta-World's reset.
    """

    moved: tuple[Fixture, ...] = ()
    begin: tuple[float, ...] = ()

    @property
    def fixtures(self) -> tuple[Fixture, ...]:
        """What it moves."""
        return self.moved

    def is_valid_start(self, obs: Float[Tensor, "*b W"]) -> Bool[Tensor, "*b"]:
        """Not fulfilled, and its fixtures about where Meta-World starts them."""
        there = ~self.success(obs)
        for fixture, place in zip(self.moved, self.begin, strict=True):
            there &= (obs[..., fixture.position] - place).abs() <= BEGUN * fixture.span
        return there
