"""One policy for all source tasks, trained in imagination and told its task by a context.

The tasks are one MDP whose states are pairs of an observation and a context that never changes; actor and critic read
both (Hallak et al. 2015, "Contextual Markov decision processes", section 2; as universal value functions: Schaul et al.
2015, "Universal value function approximators", section 3). Training is that of `mbtransfer.training.policy`
(Xu et al. 2022, "Accelerated policy learning with parallel differentiable simulation", section 3), in all tasks at
once:

    max over pi of  mean_k E  sum_t<h discount^t r_k,t + discount^h V(s_h, z_k),   a_t = pi(s_t, z_k)

with the rewards of each task scaled to be from 0 to 1. A target needs its context alone; nothing is trained for it.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from mbtransfer.errors import UserError
from mbtransfer.mpc.agent import action_bounds
from mbtransfer.mpc.objective import Policy, Reward
from mbtransfer.mpc.task_policy import Actor, Critic, Scaled
from mbtransfer.mpc.task_reward import TaskReward
from mbtransfer.training.policy.actor_critic import EnsemblePenalty, PolicyTrainingConfig, Trainer
from mbtransfer.transfer.method import Costs, Method, Solution, Sources, parameters
from mbtransfer.transfer.policy.context import CONTEXTS, Contexts, ObjectGoal
from mbtransfer.transfer.policy.hard_modules import HardModules
from mbtransfer.transfer.policy.imagined_policy import ALONE
from mbtransfer.transfer.policy.soft_modules import SoftModules
from tasks.spec import nearest
from tasks.task import Task
from world_models.dynamics.rollout import Imagination

TRUNKS = ("mlp", "soft_modules", "hard_modules")


class Contextual(Scaled):
    """A network that reads observations and contexts.

    Contexts are scaled so that those of the source tasks have as large a mean square as normalised observations: a few
    numbers of a description would be lost among many columns.

    Args:
        inputs: O, the number of observation columns.
        outputs: number of output columns.
        contexts: those of the K source tasks.
        trunk: kind of network.
    """

    table: Tensor

    def __init__(self, inputs: int, outputs: int, contexts: Contexts, trunk: str) -> None:
        size = contexts.table.shape[1]
        super().__init__(inputs + size, outputs)
        if trunk == "soft_modules":
            self.layers = SoftModules(inputs, size, outputs)
        elif trunk == "hard_modules":
            assert isinstance(contexts, ObjectGoal)  # `ContextualPolicy.pretrain` has seen to it
            self.layers = HardModules(inputs, outputs, contexts.positions, len(contexts.kinds))
        self.scale[inputs:] = (contexts.table.square().sum(dim=1).mean() / inputs).sqrt().clamp(min=1e-3)
        if contexts.learned:
            self.table = nn.Parameter(contexts.table.clone())
        else:
            self.register_buffer("table", contexts.table)

    def fit_normalizer(self, obs: Float[Tensor, "N O"]) -> None:
        """Fit the normalisation to observations; that of the contexts stays."""
        inputs = obs.shape[1]
        self.centre[:inputs] = obs.mean(dim=0)
        self.scale[:inputs] = obs.std(dim=0).clamp(min=1e-3)

    def read(self, obs: Float[Tensor, "*b R O"]) -> Float[Tensor, "*b R Y"]:
        """The output for R rows of each of the other axes; those of one source task are consecutive."""
        each = repeat(self.table, "k c -> (k n) c", n=obs.shape[-2] // len(self.table))
        return self.told(obs, each)

    def told(self, obs: Float[Tensor, "*b R O"], context: Float[Tensor, "*#c C"]) -> Float[Tensor, "*b R Y"]:
        """The output for any contexts."""
        return super().read(torch.cat([obs, context.expand(*obs.shape[:-1], -1)], dim=-1))


class ContextualActor(Contextual, Actor):
    """A policy of many tasks."""


class ContextualCritic(Critic):
    """Two estimates of the value of a state in many tasks; see `Contextual` for the arguments."""

    def __init__(self, inputs: int, contexts: Contexts, trunk: str) -> None:
        super().__init__(inputs)
        self.first, self.second = (Contextual(inputs, 1, contexts, trunk) for _ in range(2))


@dataclass(frozen=True, eq=False)
class Carried:
    """The policy of the source tasks.

    Attributes:
        sources: what it was learned from.
        contexts: tells a target's context.
        actor: the policy.
    """

    sources: Sources
    contexts: Contexts
    actor: ContextualActor

    def policy(self, context: Float[Tensor, " C"]) -> Policy:
        """The policy in the task of that context."""
        bounds = action_bounds(self.sources.model.environment.spec, self.sources.model.device)

        def policy(obs: Float[Tensor, "B O"]) -> Float[Tensor, "B A"]:
            with torch.no_grad():
                return bounds.middle + torch.tanh(self.actor.told(obs, context)) * bounds.half

        return policy


@dataclass(frozen=True)
class ContextualPolicy(Method[Carried]):
    """Carries one policy of all source tasks, and tells it a target's context.

    Attributes:
        context: what it is told of a task; see `mbtransfer.transfer.policy.context`.
        trunk: `mlp`, `soft_modules`, or `hard_modules` with the context `object_goal`; see
            `mbtransfer.transfer.policy.soft_modules` and `mbtransfer.transfer.policy.hard_modules`.
        updates: updates of policy and value.
        rows: roll-outs of each source task and member per update, instead of `training.rows`.
        training: how they are trained.
    """

    name: ClassVar[str] = "contextual_policy"
    without_practice: ClassVar[bool] = True
    context: str = "metadata"
    trunk: str = "mlp"
    updates: int = 1500
    rows: int = 4
    training: PolicyTrainingConfig = ALONE

    def small(self) -> "ContextualPolicy":
        """See `Method.small`."""
        return replace(self, updates=max(1, self.updates // 10))

    def pretrain(self, sources: Sources) -> Carried:
        """Train the policy in all source tasks, without a step in the environment.

        Raises:
            UserError: no source tasks, no such context or trunk, a trunk that needs another context, or contexts that
                tell nothing.
        """
        for what, name, known in (
            ("context", self.context, tuple(CONTEXTS)),
            ("trunk", self.trunk, TRUNKS),
        ):
            if name not in known:
                raise UserError(f"contextual_policy: no {what} {name!r}{nearest(name, list(known))}")
        if self.trunk == "hard_modules" and self.context != "object_goal":
            raise UserError(
                f"contextual_policy: the trunk hard_modules needs the context object_goal, not {self.context!r}"
            )
        if not sources.tasks:
            raise UserError("a contextual policy needs at least one source task; name some")
        model, contexts = sources.model, CONTEXTS[self.context](sources)
        inputs, bounds = model.pool.obs.shape[1], action_bounds(model.environment.spec, model.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(sources.seed)
            actor = ContextualActor(inputs, len(bounds.low), contexts, self.trunk)
            critic = ContextualCritic(inputs, contexts, self.trunk)
        imagination = Imagination(model.dynamics, len(model.dynamics.elites))
        penalty = (
            EnsemblePenalty(imagination, model.dynamics.normalizer.change, model.pool)
            if self.training.uncertainty_penalty
            else None
        )
        trainer = Trainer(
            imagination, joint_reward(sources), (0.0, 1.0), model.pool.obs, bounds,
            replace(self.training, rows=len(sources.tasks) * self.rows), sources.seed, penalty, (actor, critic),
        )  # fmt: skip
        for _ in range(self.updates):
            trainer.update()
        return Carried(sources, contexts, actor.requires_grad_(False))

    def solve(self, carried: Carried, target: Task) -> Solution:
        """Tell the policy the target's context.

        Raises:
            UserError: the target has no such context.
        """
        sources, model = carried.sources, carried.sources.model
        context = carried.contexts.of(target, carried.actor.table)
        labelled = {task.name for task in sources.tasks}
        if carried.contexts.reads_labels:
            labelled.add(target.name)
        pool = int(model.notes.get("transitions", len(model.pool)))
        costs = Costs(pool, 0, sources.labels * len(labelled), parameters(carried.actor))
        return Solution(carried.policy(context), costs)


def joint_reward(sources: Sources) -> Reward:
    """The learned rewards of K source tasks for R rows, of which those of one task are consecutive.

    Each is scaled to be 0 at the lowest and 1 at the highest of its labels, and clipped.
    """
    model, count = sources.model, len(sources.tasks)
    heads = model.rewards(sources.tasks, sources.labels)
    reward = TaskReward(heads, torch.eye(count, device=model.device))
    labels = [model.label(task, sources.labels).reward for task in sources.tasks]
    low = torch.stack([one.amin() for one in labels])[:, None]
    high = torch.stack([one.amax() for one in labels])[:, None]
    span = (high - low).clamp(min=1e-6)

    def scaled(
        obs: Float[Tensor, "*h R O"], action: Float[Tensor, "*h R A"], next_obs: Float[Tensor, "*h R O"]
    ) -> Float[Tensor, "*h R"]:
        each = rearrange(reward(obs, action, next_obs), "... (k n) -> ... k n", k=count)
        return rearrange(((each - low) / span).clamp(0.0, 1.0), "... k n -> ... (k n)")

    return scaled
