"""Distral: a policy of each source task, tied to one that is distilled from all of them, trained in imagination.

Teh et al. 2017, "Distral: robust multitask reinforcement learning", section 2: policies pi_k of the tasks and the
distilled policy pi_0 maximise one objective,

    sum_k E sum_t discount^t (r_k,t - c log pi_k(a_t | s_t) / pi_0(a_t | s_t))

Here policies are normal distributions with the same standard deviation sigma as the noise of the training
(`PolicyTrainingConfig.noise`), so that the logarithm is in expectation |mu_k - mu_0|^2 / (2 sigma^2), and an entropy
would be a constant. As a cost of actions it becomes, but for a constant,

    r_k,t - c |a_t - mu_0(s_t)|^2 / (2 sigma^2),

whose gradient draws pi_k to pi_0, and pi_0 to what all pi_k do: distillation. Policies have two columns, as in the
paper's section on architectures: mu_k = tanh(h(s) + f_k(s)), mu_0 = tanh(h(s)).

In a target a policy begins as pi_0, and is trained with its own reward, still tied to pi_0. The two ends, for
comparison: `separate` policies with nothing in common, of which a target takes none; and one `shared` policy of all
tasks that is not told which one it is in.
"""

import copy
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mbtransfer.errors import UserError
from mbtransfer.mpc.agent import action_bounds
from mbtransfer.mpc.objective import Policy, Reward
from mbtransfer.mpc.task_policy import Actor, Critic, Scaled
from mbtransfer.training.policy.actor_critic import PolicyTrainingConfig, Trainer
from mbtransfer.transfer.method import Costs, Method, Solution, Sources, parameters
from mbtransfer.transfer.policy.contextual_policy import joint_reward
from mbtransfer.transfer.policy.imagined_policy import ALONE
from tasks.spec import nearest
from tasks.task import Task
from world_models.dynamics.rollout import Imagination

TIES = ("distral", "separate", "shared")
"""What policies of several tasks have in common."""


class Columns(Actor):
    """The policies of K tasks, of which rows are consecutive, and the distilled one.

    Args:
        inputs: O, the number of observation columns.
        outputs: A, the number of action columns.
        count: K.
        ties: what they have in common.
    """

    def __init__(self, inputs: int, outputs: int, count: int, ties: str) -> None:
        super().__init__(inputs, outputs)
        own = 0 if ties == "shared" else count
        self.tasks = nn.ModuleList(Scaled(inputs, outputs).layers for _ in range(own))
        self._count, self._ties = count, ties
        if ties == "separate":
            self.layers = nn.Identity()  # there is no distilled policy
        if ties == "distral":
            for layers in self.tasks:
                _silence(layers)

    def read(self, obs: Float[Tensor, "*b R O"]) -> Float[Tensor, "*b R A"]:
        """The output of the policy of each row's task."""
        parts = obs.tensor_split(self._count, dim=-2)
        return torch.cat([self.told(part, k) for k, part in enumerate(parts)], dim=-2)

    def told(self, obs: Float[Tensor, "*b O"], task: int) -> Float[Tensor, "*b A"]:
        """The output of the policy of one task."""
        if self._ties == "shared":
            return super().read(obs)
        x = ((obs - self.centre) / self.scale).clamp(-10.0, 10.0)
        own: Tensor = self.tasks[task](x)
        return own if self._ties == "separate" else self.distilled(obs) + own

    def distilled(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b A"]:
        """The output of the distilled policy."""
        return super().read(obs)


def _silence(layers: nn.Module) -> None:
    """Let a network's output be zero at first."""
    *_, last = layers.children()
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.weight.zero_()
        last.bias.zero_()


class Values(Critic):
    """Two estimates of the value in each of K tasks, of which rows are consecutive."""

    def __init__(self, inputs: int, count: int) -> None:
        super().__init__(inputs)
        self.first, self.second = (Columns(inputs, 1, count, "separate") for _ in range(2))


@dataclass(frozen=True, eq=False)
class Carried:
    """The policies of the source tasks and the distilled one."""

    sources: Sources
    actor: Columns

    def policy(self, task: int | None) -> Policy:
        """The policy of a source task, by its number; None for the distilled one."""
        bounds = action_bounds(self.sources.model.environment.spec, self.sources.model.device)

        def policy(obs: Float[Tensor, "B O"]) -> Float[Tensor, "B A"]:
            with torch.no_grad():
                free = self.actor.distilled(obs) if task is None else self.actor.told(obs, task)
                return bounds.middle + torch.tanh(free) * bounds.half

        return policy


@dataclass(frozen=True)
class Distral(Method[Carried]):
    """Carries the distilled policy, from which a target's own is trained.

    Attributes:
        kl: what it costs to differ from the distilled policy (c), where rewards are from 0 to 1.
        ties: `distral`, or one of the ends that it is compared with.
        updates: updates of the policies of the source tasks.
        target_updates: updates of a target's policy.
        rows: roll-outs of each source task and member per update, instead of `training.rows`.
        training: how all are trained.
    """

    name: ClassVar[str] = "distral"
    without_practice: ClassVar[bool] = True
    kl: float = 0.001
    ties: str = "distral"
    updates: int = 1000
    target_updates: int = 500
    rows: int = 4
    training: PolicyTrainingConfig = ALONE

    def small(self) -> "Distral":
        """See `Method.small`."""
        return replace(
            self, updates=max(1, self.updates // 10), target_updates=max(1, self.target_updates // 10)
        )

    def pretrain(self, sources: Sources) -> Carried:
        """Train the policies of all source tasks and distil them, without a step in the environment.

        Raises:
            UserError: no source tasks, no such ties, or a cost below zero.
        """
        self._check()
        if not sources.tasks:
            raise UserError("distral needs at least one source task; name some")
        inputs, outputs = sources.model.pool.obs.shape[1], sources.model.pool.actions.shape[1]
        count = len(sources.tasks)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(sources.seed)
            actor = Columns(inputs, outputs, count, self.ties).to(sources.model.device)
            critic = Values(inputs, count)
        training = replace(self.training, rows=count * self.rows)
        self._train(sources, joint_reward(sources), training, actor, critic, self.updates)
        return Carried(sources, actor.requires_grad_(False))

    def solve(self, carried: Carried, target: Task) -> Solution:
        """Train a policy for the target, beginning with the distilled one; with separate ties, beginning anew."""
        sources, model = carried.sources, carried.sources.model
        one = replace(sources, tasks=(target,))
        inputs, outputs = model.pool.obs.shape[1], model.pool.actions.shape[1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(sources.seed)
            actor = Columns(inputs, outputs, 1, "separate" if self.ties == "separate" else "distral")
            critic = Values(inputs, 1)
        if self.ties != "separate":
            actor.layers = copy.deepcopy(carried.actor.layers)
            actor.layers.requires_grad_(False)
        actor = actor.to(model.device)
        self._train(one, joint_reward(one), self.training, actor, critic, self.target_updates)
        pool = int(model.notes.get("transitions", len(model.pool)))
        labels = sources.labels * len({task.name for task in (*sources.tasks, target)})
        acts = Carried(one, actor.requires_grad_(False)).policy(0)
        return Solution(acts, Costs(pool, 0, labels, parameters(actor)))

    def _train(
        self, sources: Sources, reward: Reward, training: PolicyTrainingConfig, actor: Columns, critic: Critic,
        updates: int,
    ) -> None:  # fmt: skip
        model = sources.model
        bounds = action_bounds(model.environment.spec, model.device)
        tied = self.ties != "separate" and self.kl > 0 and len(actor.tasks) > 0

        def apart(
            obs: Float[Tensor, "*h R O"], action: Float[Tensor, "*h R A"], ahead: Float[Tensor, "*h R O"]
        ) -> Float[Tensor, "*h R"]:
            """The squared distance from the distilled action, in variances, halved."""
            gap = (action - bounds.middle) / bounds.half - torch.tanh(actor.distilled(obs))
            return gap.square().sum(dim=-1) / (2 * training.noise**2)

        trainer = Trainer(
            Imagination(model.dynamics, len(model.dynamics.elites)), reward, (0.0, 1.0), model.pool.obs, bounds,
            replace(training, uncertainty_penalty=self.kl), sources.seed, apart if tied else None, (actor, critic),
        )  # fmt: skip
        for _ in range(updates):
            trainer.update()

    def _check(self) -> None:
        if self.ties not in TIES:
            raise UserError(f"distral: no ties {self.ties!r}{nearest(self.ties, list(TIES))}")
        if self.kl < 0:
            raise UserError(f"distral: kl must be zero or more, not {self.kl}")
        if self.training.uncertainty_penalty:
            raise UserError("distral has no penalty for uncertainty; leave training.uncertainty_penalty out")
        if self.kl and not self.training.noise:
            raise UserError("distral: policies without noise have no kl; set training.noise above zero")
