"""Soft actor-critic from scratch in the target: what solving it costs if nothing is carried.

Haarnoja et al. 2018, "Soft actor-critic algorithms and applications", as Stable-Baselines3 has it. It maximises

    E sum_t discount^t (r(s_t, a_t, s_t+1) + alpha H(pi(. | s_t)))

in the true simulator, with the task's own reward. Neither pool nor labels are used; its price is environment steps.
"""

import zlib
from dataclasses import dataclass, field, replace
from typing import ClassVar

from mbtransfer.errors import UserError
from mbtransfer.mpc.agent import action_bounds
from mbtransfer.transfer.method import Costs, Method, Solution, Sources, parameters
from mbtransfer.transfer.model_free.stable_baselines import SACConfig, missing, policy_of, require, train_sac
from mbtransfer.transfer.model_free.task_episodes import TaskEpisodes
from tasks.environment import Environment
from tasks.task import Task


@dataclass(frozen=True)
class SoftActorCritic(Method[Sources]):
    """Carries nothing.

    Attributes:
        steps: control steps in each target, whatever the number of episodes of practice.
        training: how it is trained.

    Raises:
        UserError: no steps.
    """

    name: ClassVar[str] = "sac"
    without_practice: ClassVar[bool] = True
    steps: int = 10_000
    training: SACConfig = field(default_factory=SACConfig)

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UserError(f"sac: steps must be at least 1, not {self.steps}")

    def lacks(self, environment: Environment) -> str:
        """See `Method.lacks`."""
        return missing("stable_baselines3")

    def small(self) -> "SoftActorCritic":
        """See `Method.small`."""
        return replace(self, steps=max(1, self.steps // 10))

    def pretrain(self, sources: Sources) -> Sources:
        """Nothing.

        Raises:
            UserError: the library is not installed.
        """
        require("stable_baselines3")
        return sources

    def solve(self, carried: Sources, target: Task) -> Solution:
        """Learn the target in the true simulator."""
        environment, device = carried.model.environment, carried.model.device
        seed = (carried.seed + zlib.crc32(target.name.encode())) % 2**31
        agent = train_sac(TaskEpisodes(environment, [target]), self.steps, self.training, seed, device)
        policy = policy_of(agent, action_bounds(environment.spec, device))
        return Solution(policy, Costs(steps=agent.num_timesteps, parameters=parameters(agent.actor)))
