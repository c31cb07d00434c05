"""Distillation of the planner: a policy that does at once what the planner would do after its search.

The policy imitates the planner's actions in imagined states (Parisotto et al. 2016, "Actor-Mimic", section 3, with a
regression on actions, as they are continuous). First the planner leads; later the states are those that the policy
itself visits (Ross et al. 2011, "A reduction of imitation learning and structured prediction to no-regret online
learning", DAgger, algorithm 3.1, with beta 1 in the first round and 0 later).
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mbtransfer.mpc.agent import action_bounds
from mbtransfer.mpc.controller import Controller
from mbtransfer.mpc.objective import LearnedDynamics, Policy, Reward
from mbtransfer.mpc.task_policy import Actor
from mbtransfer.mpc.task_reward import TaskReward
from mbtransfer.training.policy.actor_critic import PolicyTrainingConfig, Trainer, World
from planners.base import Bounds
from tasks.task import Task

BATCH = 256


@dataclass(frozen=True)
class DistillationConfig:
    """Settings of a round of distillation.

    Attributes:
        rows: imagined episodes.
        steps: their control steps.
        updates: updates of the policy, on all that was demonstrated so far.
        rate: their learning rate.
        value_updates: updates of the value of the policy, where one is learned.
    """

    rows: int = 64
    steps: int = 30
    updates: int = 1000
    rate: float = 1e-3
    value_updates: int = 100


@dataclass(frozen=True, eq=False)
class Demonstrations:
    """What the planner did, or would have done.

    Attributes:
        obs: states.
        actions: the planner's actions there, from -1 to 1.
    """

    obs: Float[Tensor, "N O"]
    actions: Float[Tensor, "N A"]

    def __add__(self, other: "Demonstrations") -> "Demonstrations":
        """Both, one after the other."""
        return Demonstrations(torch.cat([self.obs, other.obs]), torch.cat([self.actions, other.actions]))


def demonstrate(
    controller: Controller, task: Task, starts: Float[Tensor, "N O"], config: DistillationConfig, seed: int,
    policy: Policy | None = None,
) -> Demonstrations:  # fmt: skip
    """What the planner does in imagined episodes, which begin in some of the states `starts`.

    Args:
        controller: plans in a learned model.
        task: what for.
        starts: states, such as the pool's.
        config: how many episodes, and how long.
        seed: seed of starts and search.
        policy: leads the episodes, while the planner only says what it would do; None if the planner leads.
    """
    assert isinstance(controller.dynamics, LearnedDynamics)
    agent, bounds = controller.agent(seed), action_bounds(controller.environment.spec, starts.device)
    reward = TaskReward(controller.rewards([task]), torch.ones(config.rows, 1, device=starts.device))
    rows = torch.randint(len(starts), (config.rows,), generator=torch.Generator().manual_seed(seed))
    obs, path, actions = starts[rows.to(starts.device)], list[Tensor](), list[Tensor]()
    for _ in range(config.steps):
        path.append(obs)
        actions.append(agent.act(obs, np.zeros((config.rows, 1)), reward))
        led = policy(obs) if policy else actions[-1]
        obs = controller.dynamics.imagination(obs, led[:, None]).obs[-1].mean(dim=0)
    done = (torch.cat(actions) - bounds.middle) / bounds.half
    return Demonstrations(torch.cat(path), done.clamp(-1.0, 1.0))


def imitate(
    actor: Actor, shown: Demonstrations, config: DistillationConfig, generator: torch.Generator
) -> None:
    """Regression on the planner's actions."""
    optimiser = torch.optim.Adam(actor.parameters(), config.rate)
    for _ in range(config.updates):
        rows = torch.randint(len(shown.obs), (BATCH,), generator=generator).to(shown.obs.device)
        loss = (actor(shown.obs[rows]) - shown.actions[rows]).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


class PlannerTrainer:
    """Distils the planner, round by round, and learns the value of the policy that it has become.

    Args:
        controller: plans in a learned model.
        task: what for.
        world: where the value is learned; see `actor_critic.Trainer`, as for the next five.
        reward: the task's learned reward.
        span: lowest and highest reward among the labels.
        starts: observations of the pool.
        bounds: the action box.
        config: settings of the value.
        seed: seed of all randomness.
        distillation: settings of a round.
    """

    def __init__(
        self, controller: Controller, task: Task, world: World, reward: Reward, span: tuple[float, float],
        starts: Float[Tensor, "N O"], bounds: Bounds, config: PolicyTrainingConfig, seed: int,
        distillation: DistillationConfig,
    ) -> None:  # fmt: skip
        self._controller, self._task, self._starts, self._bounds = controller, task, starts, bounds
        self._config, self._seed, self._round = distillation, seed, 0
        self._generator = torch.Generator().manual_seed(seed)
        self._shown: Demonstrations | None = None
        # At a rate of zero the policy stays as it is, and the value is its own.
        self._judge = Trainer(world, reward, span, starts, bounds, replace(config, actor_rate=0.0), seed)
        self.actor, self.target = self._judge.actor, self._judge.target

    def update(self) -> float:
        """One round; returns the mean scaled reward of the policy's roll-outs after it."""

        def policy(obs: Float[Tensor, "B O"]) -> Float[Tensor, "B A"]:
            with torch.no_grad():
                return self._bounds.middle + self.actor(obs) * self._bounds.half

        new = demonstrate(
            self._controller, self._task, self._starts, self._config, self._seed + self._round,
            policy if self._round else None,
        )  # fmt: skip
        self._shown, self._round = self._shown + new if self._shown else new, self._round + 1
        imitate(self.actor, self._shown, self._config, self._generator)
        return float(np.mean([self._judge.update() for _ in range(self._config.value_updates)]))
