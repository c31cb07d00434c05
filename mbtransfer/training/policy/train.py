"""Training of a task's policy and value function: by actor-critic, IQL, or distillation of the planner."""

import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Literal, NamedTuple

import torch

from mbtransfer.errors import UserError
from mbtransfer.model import Model
from mbtransfer.mpc.agent import action_bounds
from mbtransfer.mpc.controller import model_controller
from mbtransfer.mpc.task_policy import Prepared
from mbtransfer.training.policy.actor_critic import EnsemblePenalty, PolicyTrainingConfig, Trainer
from mbtransfer.training.policy.distillation import DistillationConfig, PlannerTrainer
from mbtransfer.training.policy.iql import PoolTrainer
from tasks.task import Task
from world_models.dynamics.rollout import Imagination

MEMORY = 0.99
"""Decay of the running mean of the reported reward, per update."""

Method = Literal["imagination", "pool", "planner"]


class PolicyProgress(NamedTuple):
    """Progress of the training.

    Attributes:
        updates: number of updates done.
        share: share of the work that is done, from 0 to 1.
        reward: running mean of the reward per control step.
        seconds: since the first update began.
    """

    updates: int
    share: float
    reward: float
    seconds: float


Report = Callable[[PolicyProgress], None]
"""Called after each update."""


def prepare(
    model: Model, task: Task, seconds: float, *, updates: int | None = None, labels: int | None = None,
    config: PolicyTrainingConfig | None = None, method: Method = "imagination",
    distillation: DistillationConfig | None = None, seed: int = 0, report: Report | None = None,
) -> Prepared:  # fmt: skip
    """Train a policy and a value function for a task that the model was never trained for.

    Args:
        model: the fitted model; roll-outs start from its pool.
        task: the task to prepare for.
        seconds: training time; at least one update is made.
        updates: maximum number of updates; if reached before `seconds`, the result does not depend on the clock.
        labels: labelled transitions behind the reward; None for the model's default.
        config: settings of the training.
        method: `imagination` (roll-outs through the ensemble), `pool` (the relabelled transitions alone) or `planner`
            (imitation of the planner in imagination; an update is a round).
        distillation: settings of a round, for `planner`.
        seed: seed of all randomness.
        report: called with the progress.

    Raises:
        ModelError: more labels than the model's pool has transitions.
        UserError: an uncertainty penalty with another method than `imagination`, or with fewer than two members.
    """
    config, bounds = config or PolicyTrainingConfig(), action_bounds(model.environment.spec, model.device)
    members = len(model.dynamics.elites)
    if config.uncertainty_penalty and (method != "imagination" or members < 2):
        what = {"pool": "--method pool imagines nothing", "planner": "--method planner follows the planner"}
        raise UserError(
            "--uncertainty-penalty compares two members in imagination, but "
            f"{what.get(method, 'this model has only one')}; leave it out"
        )
    heads, count = model.rewards([task], labels), model.label_count(labels)
    reward = model.label(task, count).reward
    span = float(reward.min()), float(reward.max())

    def judged(obs: torch.Tensor, action: torch.Tensor, ahead: torch.Tensor) -> torch.Tensor:
        return heads.reward(obs, action, ahead)[..., 0]

    trainer: Trainer | PoolTrainer | PlannerTrainer
    if method == "pool":
        trainer = PoolTrainer(model.pool, judged, span, bounds, config, seed)
    elif method == "planner":
        controller = model_controller(
            model.environment, model.dynamics, rewards=partial(model.rewards, labels=labels), labels=count,
            device=model.device,
        )  # fmt: skip
        trainer = PlannerTrainer(
            controller, task, Imagination(model.dynamics, members), judged, span, model.pool.obs, bounds, config, seed,
            distillation or DistillationConfig(),
        )  # fmt: skip
    else:
        imagination = Imagination(model.dynamics, members)
        change = model.dynamics.normalizer.change
        uncertainty_penalty = (
            EnsemblePenalty(imagination, change, model.pool) if config.uncertainty_penalty else None
        )
        trainer = Trainer(
            imagination, judged, span, model.pool.obs, bounds, config, seed, uncertainty_penalty
        )
    done = repeat(trainer.update, seconds, updates, span, report)
    actor, critic = trainer.actor.requires_grad_(False), trainer.target.requires_grad_(False)
    notes = {
        "updates": done.updates, "seconds": done.seconds, "labels": count, "seed": seed, "method": method,
        "imagined": done.reward, "config": asdict(config),
    }  # fmt: skip
    return Prepared(task.name, model.digest, actor, critic, bounds, span, config.discount, notes)


def repeat(
    update: Callable[[], float], seconds: float, updates: int | None, span: tuple[float, float] = (0.0, 1.0),
    report: Report | None = None,
) -> PolicyProgress:  # fmt: skip
    """Repeat an update until the time or their number is used up, at least once.

    Args:
        update: one update; returns a scaled reward.
        seconds: training time.
        updates: maximum number; None for none.
        span: the rewards that are scaled to 0 and 1.
        report: called after each update.
    """
    began, done, smooth = time.monotonic(), 0, 0.0
    while True:
        gain = update()
        done, smooth = done + 1, MEMORY * smooth + (1 - MEMORY) * gain if done else gain
        spent = time.monotonic() - began
        share = max(spent / seconds if seconds else 1.0, done / updates if updates else 0.0)
        progress = PolicyProgress(done, share, span[0] + (span[1] - span[0]) * smooth, spent)
        if report:
            report(progress)
        if share >= 1.0:
            return progress
