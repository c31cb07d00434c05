"""The control of model transfer: the same planner and reward head, with dynamics learned from one task's share of data.

What pooling adds is forward transfer (Lopez-Paz and Ranzato 2017, "Gradient episodic memory for continual learning",
section 2): success with the pooled model minus success with the model of the target's own data. The pool does not say
for which task a transition was collected, so the share is a random one: N / K of N transitions, for K source tasks.
"""

import zlib
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch

from mbtransfer.errors import UserError
from mbtransfer.mpc.controller import PARTICLES, PLANNER
from mbtransfer.transfer.method import Costs, Method, Solution, Sources, parameters
from mbtransfer.transfer.model.model_transfer import planning
from tasks.task import Task
from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.training.config import LONG_EPOCH, TrainingConfig
from world_models.training.trainer import fit

HELD_OUT = 0.1
"""Share of the data that chooses among epochs and members."""

LEAST = 100
"""Transitions without which no dynamics are fitted."""


@dataclass(frozen=True)
class OwnModel(Method[Sources]):
    """Carries nothing.

    Attributes:
        training: how the dynamics are trained; by default with as many updates as `mbtransfer fit` on a large pool.
            Their shape is that of the pooled model.
        planner: name of the planner.
        particles: imagined futures per plan.
    """

    name: ClassVar[str] = "own_model"
    without_practice: ClassVar[bool] = True
    training: TrainingConfig = field(default_factory=lambda: TrainingConfig(steps_per_epoch=LONG_EPOCH))
    planner: str = PLANNER
    particles: int = PARTICLES

    def small(self) -> "OwnModel":
        """See `Method.small`."""
        return replace(self, training=replace(self.training, epochs=max(1, self.training.epochs // 10)))

    def pretrain(self, sources: Sources) -> Sources:
        """Nothing: no other task helps."""
        return sources

    def solve(self, carried: Sources, target: Task) -> Solution:
        """Train dynamics on the target's share of the pool, fit its reward head and plan for it.

        Raises:
            UserError: the share is too small.
        """
        model, count = carried.model, share(carried)
        if count < LEAST:
            raise UserError(f"a task's share of the pool is {count} transitions; dynamics need {LEAST}")
        generator = torch.Generator().manual_seed(carried.seed + zlib.crc32(target.name.encode()))
        rows = torch.randperm(len(model.pool), generator=generator)[:count].to(model.device)
        cut = round(HELD_OUT * count)
        dynamics = EnsembleDynamics(model.dynamics.layout, model.dynamics.config, generator).to(model.device)
        for _ in fit(dynamics, model.pool[rows[cut:]], model.pool[rows[:cut]], self.training, carried.seed):
            pass
        controller = planning(carried, dynamics, target, self.planner, self.particles)
        return Solution(controller, Costs(count, 0, carried.labels, parameters(dynamics)))


def share(sources: Sources) -> int:
    """Transitions of the pool for one task, at most those that travel with the model."""
    model = sources.model
    whole = int(model.notes.get("transitions", len(model.pool)))
    return min(len(model.pool), whole // max(1, len(sources.tasks)))
