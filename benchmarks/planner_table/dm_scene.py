"""Tasks of dm_control as environments of ours: their physics, their starts, their rewards.

An action is held for several control steps of dm_control, and the reward read at the end: one decision.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from benchmarks.planner_table.dm_rewards import Observe, Reward, see_cartpole, see_walker, swing_up, walk
from tasks.control_suite.suite import load_suite
from tasks.environment import Environment
from tasks.simulator import Simulator
from tasks.spec import EnvSpec, Variable
from tasks.task import Task

_STATE = mujoco.mjtState.mjSTATE_FULLPHYSICS


@dataclass(frozen=True)
class SuiteTask(Task):
    """A reward from 0 to 1, and no success: an episode goes on to its end."""

    of: Reward

    def reward(
        self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b O"]
    ) -> Float[Tensor, "*b"]:
        """dm_control's."""
        return self.of(next_obs, action)

    def success(self, obs: Float[Tensor, "*b O"]) -> Bool[Tensor, "*b"]:
        """Never."""
        return torch.zeros(obs.shape[:-1], dtype=torch.bool, device=obs.device)


@dataclass(frozen=True)
class Suite:
    """A task of dm_control's suite.

    Attributes:
        domain: such as `walker`.
        task: such as `walk`.
        hold: control steps of dm_control for which an action is held.
        steps: control steps of dm_control in an episode.
        horizon: actions that a plan looks ahead.
        see: from a model to what takes its states to observations.
        reward: of the observation that an action led to.
    """

    domain: str
    task: str
    hold: int
    steps: int
    horizon: int
    see: Callable[[mujoco.MjModel], Observe]
    reward: Reward

    def load(self, seed: int = 0) -> Any:
        """The environment as dm_control has it."""
        return load_suite().load(self.domain, self.task, task_kwargs={"random": seed})

    def environment(self) -> Environment:
        """The environment as we have it, with the one task."""
        theirs = self.load()
        model, box = theirs.physics.model.ptr, theirs.action_spec()
        ends = zip(box.minimum, box.maximum, strict=True)
        spec = EnvSpec(
            f"{self.domain} {self.task}", (),
            tuple(Variable(f"motor {i}", "", low, high) for i, (low, high) in enumerate(ends)),
            (), self.hold * theirs.control_timestep(), self.steps // self.hold,
        )  # fmt: skip

        def sample(rng: np.random.Generator, n: int) -> Float[ndarray, "n S"]:
            theirs.task.random.seed(int(rng.integers(2**32)))
            return np.stack([_start(theirs) for _ in range(n)])

        def scene(locked: tuple[str, ...]) -> Simulator:
            return Simulator(model, spec, self.see(model), lambda actions: actions, sample)

        task = SuiteTask(spec.name, f"{spec.name} of dm_control", "user", self.reward)
        return Environment(spec, {task.name: task}, scene)


SUITES = {
    "cartpole": Suite("cartpole", "swingup", 4, 280, 20, see_cartpole, swing_up),
    "walker": Suite("walker", "walk", 4, 100, 6, see_walker, walk),
}
"""By domain. Horizons are 0.8 and 0.6 s: long enough to swing up, and for a step."""


def state_of(physics: Any) -> Float[ndarray, " S"]:
    """The state of dm_control's physics."""
    model, data = physics.model.ptr, physics.data.ptr
    state = np.empty(mujoco.mj_stateSize(model, _STATE))
    mujoco.mj_getState(model, data, state, _STATE)
    return state


def _start(theirs: Any) -> Float[ndarray, " S"]:
    theirs.reset()
    return state_of(theirs.physics)
