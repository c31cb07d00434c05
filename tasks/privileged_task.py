"""Tasks judged by the simulator's state, which the robot does not observe.

Where such a task is asked for the truth, observations are widened by the state they were made from (see
`Simulator.observe_privileged`). A robot does not see the state: it plans with a reward head learned from observations.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from tasks.errors import TaskError
from tasks.task import Task

StateFunction = Callable[
    [Float[ndarray, "n S"], Float[ndarray, "n A"], Float[ndarray, "n S"]], Float[ndarray, " n"]
]
"""States, actions and the states reached to rewards, or to success as 0 and 1."""


@dataclass(frozen=True)
class PhysicsTask(Task):
    """A task judged by states.

    Attributes:
        obs_size: O, columns that the robot sees; those beyond are the state.
        judge: the reward of transitions.
        done: success, 0 or 1; None where a task only ever goes on.
    """

    obs_size: int
    judge: StateFunction
    done: StateFunction | None = None

    privileged = True

    @property
    def continuing(self) -> bool:
        """See `Task.continuing`."""
        return self.done is None

    def reward(
        self, obs: Float[Tensor, "*b W"], action: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b W"]
    ) -> Float[Tensor, "*b"]:
        """The reward of widened observations.

        Raises:
            TaskError: the observations are not widened: the reward cannot be known from them.
        """
        return self._judged(self.judge, obs, action, next_obs)

    def success(self, obs: Float[Tensor, "*b W"]) -> Bool[Tensor, "*b"]:
        """Whether states fulfil the task; never where there is nothing to fulfil."""
        if self.done is None:
            return torch.zeros(obs.shape[:-1], dtype=torch.bool, device=obs.device)
        return self._judged(self.done, obs, obs.new_zeros(*obs.shape[:-1], 0), obs) > 0.5

    def is_valid_start(self, obs: Float[Tensor, "*b W"]) -> Bool[Tensor, "*b"]:
        """Everywhere, where there is nothing to fulfil."""
        if self.done is None:
            return torch.ones(obs.shape[:-1], dtype=torch.bool, device=obs.device)
        return super().is_valid_start(obs)

    def _judged(self, judge: StateFunction, obs: Tensor, action: Tensor, next_obs: Tensor) -> Tensor:
        if obs.shape[-1] <= self.obs_size:
            raise TaskError(
                f"task {self.name!r} is judged by the simulator's state, and there is none here; "
                "plan for it with a learned reward"
            )
        shape = next_obs.shape[:-1]
        before, after = (x[..., self.obs_size :].expand(*shape, -1) for x in (obs, next_obs))
        parts = (before, action.expand(*shape, -1), after)
        states, actions, reached = (
            x.double().reshape(shape.numel(), x.shape[-1]).cpu().numpy() for x in parts
        )
        values = np.asarray(judge(states, actions, reached), np.float32)
        return torch.from_numpy(values).to(next_obs.device).reshape(shape)
