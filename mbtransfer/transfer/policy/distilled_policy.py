"""One policy for many tasks, distilled from the planner in imagination.

The policy of all source tasks imitates the planner (`mbtransfer.training.policy.distillation`: Parisotto et al. 2016,
"Actor-Mimic"; Ross et al. 2011, DAgger). A target begins with it, and goes on with what the planner does there. The
task is an input, a vector of where it wants the observations to be:

    z = mean over the best labels i of (next_obs_i - centre) / scale.

It needs labels alone, so that tasks never seen have one too.
"""

import copy
import zlib
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from mbtransfer.mpc.agent import action_bounds
from mbtransfer.mpc.objective import Policy
from mbtransfer.mpc.task_policy import Actor
from mbtransfer.training.policy.distillation import Demonstrations, DistillationConfig, demonstrate, imitate
from mbtransfer.transfer.method import Costs, Method, Solution, Sources, parameters
from mbtransfer.transfer.model.model_transfer import planning
from tasks.task import Task

BEST = 0.01
"""Share of the labels, those of the highest reward, that say what a task wants."""


@dataclass(frozen=True, eq=False)
class Distilled:
    """The policy of the source tasks; its inputs are an observation, and behind it the vector of the task."""

    sources: Sources
    actor: Actor


@dataclass(frozen=True)
class DistilledPolicy(Method[Distilled]):
    """Carries one policy of all source tasks, and goes on to distil the planner of the target into it.

    Attributes:
        rounds: rounds of imitation for a target; the source tasks have one, with the planner in the lead.
        source_updates: updates of the policy of the source tasks.
        training: settings of a round.
    """

    name: ClassVar[str] = "distilled_policy"
    without_practice: ClassVar[bool] = True
    rounds: int = 5
    source_updates: int = 3000
    training: DistillationConfig = field(default_factory=DistillationConfig)

    def small(self) -> "DistilledPolicy":
        """See `Method.small`."""
        training = replace(self.training, rows=max(1, self.training.rows // 8))
        return replace(self, rounds=max(1, self.rounds // 2), training=training)

    def pretrain(self, sources: Sources) -> Distilled:
        """Imitate the planner in all source tasks."""
        obs, generator = sources.model.pool.obs, torch.Generator().manual_seed(sources.seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(sources.seed)
            actor = Actor(2 * obs.shape[1], sources.model.pool.actions.shape[1]).to(obs.device)
        zero = torch.zeros_like(obs)
        actor.fit_normalizer(torch.cat([obs, zero], dim=1))
        actor.scale[obs.shape[1] :] = 1.0  # vectors of tasks are normalised already
        shown = [self._shown(sources, task, None, sources.seed) for task in sources.tasks]
        if shown:
            imitate(actor, reduce(add, shown), replace(self.training, updates=self.source_updates), generator)
        return Distilled(sources, actor)

    def solve(self, carried: Distilled, target: Task) -> Solution:
        """Imitate the planner in the target too, without a step in the environment."""
        sources, model = carried.sources, carried.sources.model
        seed = sources.seed + zlib.crc32(target.name.encode())
        actor, generator = copy.deepcopy(carried.actor), torch.Generator().manual_seed(seed)
        policy = conditioned(actor, sources, target)
        shown = self._shown(sources, target, None, seed)
        imitate(actor, shown, self.training, generator)
        for k in range(1, self.rounds):
            shown += self._shown(sources, target, policy, seed + k)
            imitate(actor, shown, self.training, generator)
        pool = int(model.notes.get("transitions", len(model.pool)))
        labels = sources.labels * len({task.name for task in (*sources.tasks, target)})
        return Solution(policy, Costs(pool, 0, labels, parameters(actor)))

    def _shown(self, sources: Sources, task: Task, policy: Policy | None, seed: int) -> Demonstrations:
        """What the planner does in a task, with the vector of the task behind each observation."""
        controller = planning(sources, sources.model.dynamics, task)
        shown = demonstrate(controller, task, sources.model.pool.obs, self.training, seed, policy)
        told = torch.cat([shown.obs, task_vector(sources, task).expand(len(shown.obs), -1)], dim=1)
        return Demonstrations(told, shown.actions)


def task_vector(sources: Sources, task: Task) -> Float[Tensor, " O"]:
    """Where a task wants the observations to be, in standard deviations of the pool, by its best labels."""
    model = sources.model
    labels, obs = model.label(task, sources.labels), model.pool.obs
    best = labels.reward.topk(max(1, round(BEST * len(labels.reward)))).indices
    scale = obs.std(dim=0).clamp(min=1e-3)
    return ((labels.next_obs[best] - obs.mean(dim=0)) / scale).mean(dim=0)


def conditioned(actor: Actor, sources: Sources, task: Task) -> Policy:
    """The policy of one task; it changes with the weights of the actor."""
    vector = task_vector(sources, task)
    bounds = action_bounds(sources.model.environment.spec, sources.model.device)

    def policy(obs: Float[Tensor, "B O"]) -> Float[Tensor, "B A"]:
        with torch.no_grad():
            inputs = torch.cat([obs, vector.expand(len(obs), -1)], dim=1)
            return bounds.middle + actor(inputs) * bounds.half

    return policy
