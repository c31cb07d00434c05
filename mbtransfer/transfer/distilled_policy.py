"""One policy for many tasks, distilled from the planner in imagination.

The policy imitates the planner's actions (Parisotto et al. 2016, "Actor-Mimic", section 3, with a regression on actions
instead of eq. 3, as they are continuous). In a target, from the second round on, the states are those that the policy
itself visits (Ross et al. 2011, "A reduction of imitation learning and structured prediction to no-regret online
learning", DAgger, algorithm 3.1, with beta 1 in the first round and 0 later). All states are imagined, from those of
the pool.

The task is an input, a vector of where it wants the observations to be:

    z = mean over the best labels i of (next_obs_i - centre) / scale.

It needs labels alone, so that tasks never seen have one too.
"""

import copy
import zlib
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mbtransfer.mpc.agent import action_bounds
from mbtransfer.mpc.objective import LearnedDynamics, Policy
from mbtransfer.mpc.task_policy import Actor
from mbtransfer.mpc.task_reward import TaskReward
from mbtransfer.transfer.method import Costs, Method, Solution, Sources, parameters
from mbtransfer.transfer.model_transfer import planning
from tasks.task import Task

BEST = 0.01
"""Share of the labels, those of the highest reward, that say what a task wants."""

BATCH = 256


@dataclass(frozen=True, eq=False)
class Shown:
    """What the planner did.

    Attributes:
        inputs: [N, 2 O], observations, and behind them the vector of the task.
        actions: [N, A], the planner's, from -1 to 1.
    """

    inputs: Tensor
    actions: Tensor

    @classmethod
    def join(cls, parts: "list[Shown]") -> "Shown":
        """All parts, one after the other."""
        return cls(torch.cat([one.inputs for one in parts]), torch.cat([one.actions for one in parts]))


@dataclass(frozen=True, eq=False)
class Distilled:
    """The policy of the source tasks, and what the planner did in each of them."""

    sources: Sources
    actor: Actor
    shown: tuple[Shown, ...]


@dataclass(frozen=True)
class DistilledPolicy(Method[Distilled]):
    """Carries one policy of all source tasks, and goes on to distil the planner of the target into it.

    Attributes:
        rows: imagined episodes of each round.
        steps: their control steps.
        rounds: rounds of imitation for a target; the source tasks have one.
        updates: updates of the policy after each round.
        rate: their learning rate.
    """

    name: ClassVar[str] = "distilled_policy"
    without_practice: ClassVar[bool] = True
    rows: int = 32
    steps: int = 30
    rounds: int = 4
    updates: int = 1000
    rate: float = 1e-3

    def small(self) -> "DistilledPolicy":
        """See `Method.small`."""
        return replace(
            self,
            rows=max(1, self.rows // 4),
            rounds=max(1, self.rounds // 2),
            updates=max(1, self.updates // 4),
        )

    def pretrain(self, sources: Sources) -> Distilled:
        """Imitate the planner in all source tasks."""
        obs, generator = sources.model.pool.obs, torch.Generator().manual_seed(sources.seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(sources.seed)
            actor = Actor(2 * obs.shape[1], sources.model.pool.actions.shape[1]).to(obs.device)
        zero = torch.zeros_like(obs)
        actor.fit_normalizer(torch.cat([obs, zero], dim=1))
        actor.scale[obs.shape[1] :] = 1.0  # vectors of tasks are normalised already
        shown = tuple(self._imagine(sources, task, None, sources.seed) for task in sources.tasks)
        if shown:
            self._imitate(actor, Shown.join(list(shown)), generator)
        return Distilled(sources, actor, shown)

    def solve(self, carried: Distilled, target: Task) -> Solution:
        """Imitate the planner in the target too, without a step in the environment."""
        sources, model = carried.sources, carried.sources.model
        seed = sources.seed + zlib.crc32(target.name.encode())
        actor, shown, generator = copy.deepcopy(carried.actor), list(carried.shown), torch.Generator()
        generator.manual_seed(seed)
        policy = conditioned(actor, sources, target)
        for k in range(self.rounds):
            shown.append(self._imagine(sources, target, policy if k else None, seed + k))
            self._imitate(actor, Shown.join(shown), generator)
        pool = int(model.notes.get("transitions", len(model.pool)))
        labels = sources.labels * len({task.name for task in (*sources.tasks, target)})
        return Solution(policy, Costs(pool, 0, labels, parameters(actor)))

    def _imagine(self, sources: Sources, task: Task, policy: Policy | None, seed: int) -> Shown:
        """What the planner does in imagined episodes that the policy leads; without one, the planner leads."""
        model, controller = sources.model, planning(sources, sources.model.dynamics, task)
        assert isinstance(controller.dynamics, LearnedDynamics)
        agent, bounds = controller.agent(seed), action_bounds(model.environment.spec, model.device)
        reward = TaskReward(controller.rewards([task]), torch.ones(self.rows, 1, device=model.device))
        rows = torch.randint(len(model.pool), (self.rows,), generator=torch.Generator().manual_seed(seed))
        obs, path, actions = model.pool.obs[rows.to(model.device)], list[Tensor](), list[Tensor]()
        for _ in range(self.steps):
            path.append(obs)
            actions.append(agent.act(obs, np.zeros((self.rows, 1)), reward))
            led = policy(obs) if policy else actions[-1]
            obs = controller.dynamics.imagination(obs, led[:, None]).obs[-1].mean(dim=0)
        seen, done = torch.cat(path), torch.cat(actions)
        inputs = torch.cat([seen, task_vector(sources, task).expand(len(seen), -1)], dim=1)
        return Shown(inputs, ((done - bounds.middle) / bounds.half).clamp(-1.0, 1.0))

    def _imitate(self, actor: Actor, shown: Shown, generator: torch.Generator) -> None:
        """Regression on the planner's actions."""
        optimiser = torch.optim.Adam(actor.parameters(), self.rate)
        for _ in range(self.updates):
            rows = torch.randint(len(shown.inputs), (BATCH,), generator=generator).to(shown.inputs.device)
            loss = (actor(shown.inputs[rows]) - shown.actions[rows]).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()


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
