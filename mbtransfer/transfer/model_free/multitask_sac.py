"""One soft actor-critic of all source tasks, told its task by a context: the model-free multi-task baseline.

Yu et al. 2019, "Meta-World: a benchmark and evaluation for multi-task and meta reinforcement learning", have it as
multi-task SAC: the task's number, one-hot, is part of the observation, and each task has a temperature of its own. It
learns in the true simulator, with the tasks' own rewards, from episodes of tasks drawn uniformly:

    max over pi of  mean_k E sum_t discount^t (r_k(s_t, a_t, s_t+1) + alpha_k H(pi(. | s_t, z_k)))

In a target it acts with the target's context z, zero-shot: with one-hot contexts that of the source task with the
nearest label vector (`mbtransfer.transfer.policy.context`). With episodes of practice, it learns from
these too.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from mbtransfer.errors import UserError
from mbtransfer.mpc.agent import action_bounds
from mbtransfer.mpc.objective import Policy
from mbtransfer.transfer.method import Costs, Method, Solution, Sources, parameters
from mbtransfer.transfer.model_free.stable_baselines import (
    SACConfig,
    missing,
    own_randomness,
    policy_of,
    require,
)
from mbtransfer.transfer.model_free.task_episodes import TaskEpisodes
from mbtransfer.transfer.policy.context import CONTEXTS, Contexts
from tasks.environment import Environment
from tasks.spec import nearest
from tasks.task import Task

if TYPE_CHECKING:
    from mbtransfer.transfer.model_free.task_temperatures import TaskTemperatureSAC

FIXED = tuple(name for name, kind in CONTEXTS.items() if not kind.learned)
"""Contexts that the observation can hold; a learned one would have to be part of the network."""


@dataclass(frozen=True, eq=False)
class MultitaskAgent:
    """The agent of the source tasks.

    Attributes:
        sources: what it was learned from.
        contexts: tells a target's context.
        agent: acts and learns.
    """

    sources: Sources
    contexts: Contexts
    agent: "TaskTemperatureSAC"


@dataclass(frozen=True)
class MultitaskSAC(Method[MultitaskAgent]):
    """Carries one agent of all source tasks, and tells it a target's context.

    Attributes:
        steps: control steps in the source tasks together.
        context: what it is told of a task; one of `FIXED`.
        repeats: updates per control step of practice.
        training: how it is trained.

    Raises:
        UserError: no such context, or no steps.
    """

    name: ClassVar[str] = "multitask_sac"
    steps: int = 20_000
    context: str = "one_hot"
    repeats: int = 4
    training: SACConfig = field(default_factory=SACConfig)

    def __post_init__(self) -> None:
        if self.context not in FIXED:
            raise UserError(f"multitask_sac: no context {self.context!r}{nearest(self.context, list(FIXED))}")
        if self.steps < 1 or self.repeats < 0:
            raise UserError("multitask_sac: steps must be at least 1 and repeats at least 0")

    def lacks(self, environment: Environment) -> str:
        """See `Method.lacks`."""
        return missing("stable_baselines3")

    def small(self) -> "MultitaskSAC":
        """See `Method.small`."""
        return replace(self, steps=max(1, self.steps // 5))

    def pretrain(self, sources: Sources) -> MultitaskAgent:
        """Learn all source tasks in the true simulator.

        Raises:
            UserError: the library is not installed, no source tasks, or contexts that tell nothing.
        """
        require("stable_baselines3")
        if not sources.tasks:
            raise UserError("multitask_sac needs at least one source task; name some")
        contexts = CONTEXTS[self.context](sources)
        with own_randomness():
            arguments = self.training.arguments(self.steps)
            agent = _made(sources, sources.tasks, contexts.table, sources.seed, arguments)
            agent.learn(self.steps)
        return MultitaskAgent(sources, contexts, agent)

    def solve(self, carried: MultitaskAgent, target: Task) -> Solution:
        """Tell the agent the target's context, and let it practise.

        Raises:
            UserError: the target has no such context.
        """
        sources, agent = carried.sources, carried.agent
        context, steps = carried.contexts.of(target, carried.contexts.table), agent.num_timesteps
        if sources.practice:
            agent = self._practised(carried, target, context)
            steps += agent.num_timesteps
        labelled = (
            {task.name for task in (*sources.tasks, target)} if carried.contexts.reads_labels else set()
        )
        costs = Costs(0, steps, sources.labels * len(labelled), parameters(agent.actor))
        return Solution(self._told(sources, agent, context), costs)

    def _practised(
        self, carried: MultitaskAgent, target: Task, context: Float[Tensor, " C"]
    ) -> "TaskTemperatureSAC":
        """A copy of the agent that has learned from episodes of the target."""
        from stable_baselines3.common.callbacks import StopTrainingOnMaxEpisodes

        sources, old = carried.sources, carried.agent
        steps = sources.practice * sources.model.environment.spec.episode_steps
        seed = (sources.seed + zlib.crc32(target.name.encode())) % 2**31
        now = {"learning_starts": 0, "train_freq": 1, "gradient_steps": self.repeats}
        with own_randomness():
            new = _made(sources, (target,), context[None], seed, self.training.arguments(steps) | now)
            new.policy.load_state_dict(old.policy.state_dict())
            with torch.no_grad():
                new.log_temperatures.copy_(old.log_temperatures[old.task_of(context[None])])
            new.learn(steps, StopTrainingOnMaxEpisodes(sources.practice))
        return new

    def _told(self, sources: Sources, agent: "TaskTemperatureSAC", context: Float[Tensor, " C"]) -> Policy:
        policy = policy_of(agent, action_bounds(sources.model.environment.spec, sources.model.device))

        def told(obs: Float[Tensor, "B O"]) -> Float[Tensor, "B A"]:
            return policy(torch.cat([obs, context.expand(len(obs), -1)], dim=1))

        return told


def _made(
    sources: Sources,
    tasks: Sequence[Task],
    contexts: Float[Tensor, "K C"],
    seed: int,
    arguments: dict[str, Any],
) -> "TaskTemperatureSAC":
    """An agent of these tasks that knows nothing yet."""
    from mbtransfer.transfer.model_free.task_temperatures import TaskTemperatureSAC

    env = TaskEpisodes(sources.model.environment, tasks, contexts.cpu().numpy())
    return TaskTemperatureSAC(
        contexts=contexts, policy="MlpPolicy", env=env, seed=seed, device=sources.model.device, **arguments
    )
