"""Prepare a model for a task: a policy and a value from imagination, or from its pool; no step in the world."""

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Literal

import torch

from mbtransfer.agent import action_bounds
from mbtransfer.model import Model
from mbtransfer.prepare.pooled import PoolTrainer
from mbtransfer.prepare.prepared import Prepared
from mbtransfer.prepare.train import Course, Trainer
from tasks.task import Task
from world_models.imagine import Imagination

MEMORY = 0.99
"""Share of the reported reward that stays from one update to the next."""

Method = Literal["imagination", "pool", "both"]

POOL_SHARE = 0.3
"""Share of the time that the pool alone is learned from, where both are."""

Report = Callable[[float], None]
"""Called after each update with the share of the work that is done."""


def prepare(
    model: Model, task: Task, seconds: float, *, updates: int | None = None, labels: int | None = None,
    course: Course | None = None, method: Method = "imagination", seed: int = 0, report: Report | None = None,
) -> Prepared:  # fmt: skip
    """Train a policy and a value for a task that the model was never trained for.

    Args:
        model: the fitted model; its pool is where roll-outs start.
        task: what to prepare for.
        seconds: time to train for; one update is made in any case.
        updates: stop after as many updates, if that comes first; the result then does not depend on the clock.
        labels: labelled transitions behind the reward; None is the model's choice.
        course: how to train.
        method: `imagination` (roll-outs through the ensemble), `pool` (the relabelled transitions alone) or `both`:
            what the pool teaches is where imagination begins.
        seed: of everything random.
        report: told of the progress.

    Raises:
        ModelError: more labels than the model's pool has transitions.
    """
    course, bounds = course or Course(), action_bounds(model.environment.spec, model.device)
    heads, count = model.rewards([task], labels), model.label_count(labels)
    reward = model.label(task, count).reward
    span = float(reward.min()), float(reward.max())

    def judged(obs: torch.Tensor, action: torch.Tensor, ahead: torch.Tensor) -> torch.Tensor:
        return heads.reward(obs, action, ahead)[..., 0]

    began, pooled, done, smooth = time.monotonic(), None, 0, 0.0
    if method != "imagination":
        pooled = PoolTrainer(model.pool, judged, span, bounds, course, seed)
        part = POOL_SHARE if method == "both" else 1.0
        done, smooth = _train(pooled, part * seconds, updates, _within(report, 0.0, part))
    trainer: Trainer | PoolTrainer | None = pooled
    if method != "pool":
        begin = (pooled.actor, pooled.slow) if pooled else None
        imagination = Imagination(model.dynamics, len(model.dynamics.elites))
        trainer = Trainer(imagination, judged, span, model.pool.obs, bounds, course, seed, begin)
        left = seconds - (time.monotonic() - began)
        done, smooth = _train(
            trainer, max(0.0, left), updates, _within(report, POOL_SHARE if pooled else 0.0, 1.0)
        )
    assert trainer is not None
    actor, critic = trainer.actor.requires_grad_(False), trainer.slow.requires_grad_(False)
    notes = {
        "updates": done, "seconds": time.monotonic() - began, "labels": count, "seed": seed, "method": method,
        "imagined": span[0] + (span[1] - span[0]) * smooth, "course": asdict(course),
    }  # fmt: skip
    return Prepared(task.name, model.digest, actor, critic, bounds, span, course.discount, notes)


def _train(
    trainer: Trainer | PoolTrainer, seconds: float, updates: int | None, report: Report | None
) -> tuple[int, float]:
    """Updates until time is up or enough are made: how many, and the mean scaled reward of late."""
    began, done, smooth, share = time.monotonic(), 0, 0.0, 0.0
    while share < 1.0:
        gain = trainer.update()
        done, smooth = done + 1, MEMORY * smooth + (1 - MEMORY) * gain if done else gain
        share = (time.monotonic() - began) / seconds if seconds else 1.0
        share = max(share, done / updates) if updates else share
        if report:
            report(share)
    return done, smooth


def _within(report: Report | None, start: float, end: float) -> Report | None:
    """Progress of a part of the work, told as progress of the whole."""
    return report and (lambda share: report(start + (end - start) * min(1.0, share)))
