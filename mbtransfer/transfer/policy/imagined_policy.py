"""A policy trained in imagination for the target, acting without a planner.

Actor-critic in the pooled model with the target's learned reward (see `mbtransfer.training.policy.actor_critic`: Xu et
al. 2022, "Accelerated policy learning with parallel differentiable simulation", section 3). It is what
`mbtransfer prepare` makes; here it acts alone, instead of proposing plans, which asks for more training.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

from mbtransfer.training.policy import PolicyTrainingConfig, prepare
from mbtransfer.transfer.method import Costs, Method, Solution, Sources, parameters
from tasks.task import Task

ALONE = PolicyTrainingConfig(discount=0.95)
"""Settings of a policy that acts without a planner. Five source tasks of the kitchen, 500 updates, 10 episodes each: 33
of 50 solved, and 23 with the discount of 0.98 that serves values at the end of plans."""


@dataclass(frozen=True)
class ImaginedPolicy(Method[Sources]):
    """Carries the dynamics, and makes a policy of them.

    Attributes:
        updates: updates of policy and value.
        training: how they are trained.
    """

    name: ClassVar[str] = "policy"
    without_practice: ClassVar[bool] = True
    updates: int = 1500
    training: PolicyTrainingConfig = ALONE

    def small(self) -> "ImaginedPolicy":
        """See `Method.small`."""
        return replace(self, updates=max(1, self.updates // 10))

    def pretrain(self, sources: Sources) -> Sources:
        """Nothing: the pooled model is there already."""
        return sources

    def solve(self, carried: Sources, target: Task) -> Solution:
        """Fit the target's reward head and train a policy for it, without a step in the environment."""
        model, labels = carried.model, carried.labels
        prepared = prepare(
            model, target, float("inf"), updates=self.updates, labels=labels, config=self.training, seed=carried.seed
        )  # fmt: skip
        pool = int(model.notes.get("transitions", len(model.pool)))
        return Solution(prepared.policy, Costs(pool, 0, labels, parameters(prepared.actor)))
