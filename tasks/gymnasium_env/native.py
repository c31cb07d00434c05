"""The environment's own reward, as the one task that it comes with."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.gymnasium_env.asked import Asked
from tasks.gymnasium_env.live_scene import REWARD
from tasks.gymnasium_env.load import load
from tasks.gymnasium_env.puppet import Puppet
from tasks.physics_task import Judge, PhysicsTask

NATIVE = "native"
"""Name of the task."""


@dataclass(frozen=True)
class SteppedReward:
    """Puts an instance into each state and reads what its own `step` gives: exact, one by one."""

    asked: Asked

    def __call__(
        self, states: Float[ndarray, "n S"], actions: Float[ndarray, "n A"], reached: Float[ndarray, "n S"]
    ) -> Float[ndarray, " n"]:
        """The reward of each transition."""
        puppet = _puppet(self.asked)
        return np.array([puppet.reward(*pair) for pair in zip(states, actions, strict=True)])


def noted_reward(
    states: Float[ndarray, "n S"], actions: Float[ndarray, "n A"], reached: Float[ndarray, "n S"]
) -> Float[ndarray, " n"]:
    """The reward that a ticket carries."""
    return reached[:, REWARD]


def native_task(asked: Asked, obs_size: int, judge: Judge) -> PhysicsTask:
    """The task: there is no success in it, an episode only goes on."""
    return PhysicsTask(NATIVE, f"the reward of {asked.text} itself", "source", obs_size, judge)


@lru_cache(maxsize=4)
def _puppet(asked: Asked) -> Puppet:
    return Puppet(load(asked))
