"""One decision without a world to act in: the plan from an observation, and what the model believes of it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mbtransfer.model import Model
from mbtransfer.mpc.controller import Controller
from mbtransfer.mpc.task_reward import TaskReward
from tasks.task import Task
from world_models.dynamics.rollout import Imagination
from world_models.uncertainty.conformal import Intervals
from world_models.uncertainty.disagreement import DisagreementScale, disagreement

LEVEL = 0.9
"""Level of the interval around what is believed."""


@dataclass(frozen=True, eq=False)
class ImaginedPlan:
    """A plan of H actions from one observation, and what the ensemble expects of it.

    Attributes:
        task: what is planned for.
        actions: the plan; the first row is what the robot would do now.
        expected: mean of the members' observations after 0 to H steps, in the columns' units.
        half_width: half the width of the interval around each expected observation (`LEVEL`), in the same units.
        reward: mean reward of each step, by the reward that was planned for.
        success: probability that the task is fulfilled after each step.
        doubt: share of held-out roll-outs on which the members disagree less, after each step.
    """

    task: Task
    actions: Float[Tensor, "H A"]
    expected: Float[Tensor, "points O"]
    half_width: Float[Tensor, "H O"]
    reward: Float[Tensor, " H"]
    success: Float[Tensor, " H"]
    doubt: Float[Tensor, " H"]

    @property
    def reached_after(self) -> int | None:
        """Control steps after which success is more likely than not; None if it never is."""
        steps = (self.success > 0.5).nonzero()
        return int(steps[0]) + 1 if len(steps) else None


@torch.no_grad()
def plan_from(
    controller: Controller, model: Model, task: Task, obs: Float[Tensor, " O"], seed: int = 0
) -> ImaginedPlan:
    """Plan once from an observation, and follow the plan with every elite member.

    Args:
        controller: planner, reward and learned dynamics, such as `model_controller` makes.
        model: whose ensemble is asked; the one that the controller plans with.
        task: what to do; its reward must be computable from observations.
        obs: where the robot is now.
        seed: of the search and of Gaussian heads.

    Raises:
        PlannerError: no such planner or setting.
        ModelError: the model has no intervals or no scale of disagreement.
    """
    controller = controller.ready_for(task)
    rewards, here = controller.rewards([task]), obs[None].to(controller.device)
    agent = controller.agent(seed)
    agent.act(here, np.zeros((1, 0)), TaskReward(rewards, torch.ones(1, 1, device=here.device)))
    assert agent.plan is not None
    plan = agent.plan.actions
    generator = torch.Generator(here.device).manual_seed(seed)
    imagined = Imagination(model.dynamics, len(model.dynamics.elites))(here, plan, generator)
    paths = imagined.particles
    expected = paths.mean(dim=1)[:, 0]
    spread = (paths - paths.mean(dim=1, keepdim=True)).square().mean(dim=1).sqrt()[1:, 0]
    steps = plan[0]
    return ImaginedPlan(
        task, steps.cpu(), expected.cpu(), Intervals.of(model.notes).half_width(spread, LEVEL).cpu(),
        rewards.reward(expected[:-1], steps, expected[1:])[:, 0].cpu(),
        rewards.success(expected[1:])[:, 0].float().cpu(),
        DisagreementScale.of(model.notes).to(here.device).percentile(disagreement(imagined))[:, 0].cpu(),
    )  # fmt: skip


def as_dict(plan: ImaginedPlan, model: Model) -> dict[str, Any]:
    """Everything in plain values, columns by their names."""
    spec = model.environment.spec
    columns, actions = ([one.name for one in side] for side in (spec.observation, spec.action))
    return {
        "task": plan.task.name,
        "action": dict(zip(actions, plan.actions[0].tolist(), strict=True)),
        "observation": dict(zip(columns, plan.expected[0].tolist(), strict=True)),
        "plan": plan.actions.tolist(),
        "expected": plan.expected[1:].tolist(),
        "half_width": plan.half_width.tolist(),
        "level": LEVEL,
        "reward": plan.reward.tolist(),
        "success": plan.success.tolist(),
        "doubt": plan.doubt.tolist(),
        "reached_after": plan.reached_after,
    }
