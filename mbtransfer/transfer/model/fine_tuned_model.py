"""Model transfer, few-shot: the pooled dynamics, fine-tuned on a few episodes of the target.

See `mbtransfer.training.adapt` and `world_models.adaptation.adapt`: replay of the pool against forgetting (Rolnick et
al. 2019, "Experience replay for continual learning"), frozen blocks of what is explained already, and weights of other
objects for what never moved.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

from mbtransfer.training.adapt import adapt_model
from mbtransfer.transfer.method import Costs, Solution, Sources, parameters
from mbtransfer.transfer.model.model_transfer import ModelTransfer, planning
from tasks.task import Task


@dataclass(frozen=True)
class FineTunedModel(ModelTransfer):
    """Carries the dynamics, and fine-tunes them to the target."""

    name: ClassVar[str] = "fine_tuned_model"
    without_practice: ClassVar[bool] = False

    def solve(self, carried: Sources, target: Task) -> Solution:
        """Practise the target, fine-tune, fit the target's reward head and plan for it."""
        model, scene = carried.model, carried.model.environment.make_scene(())
        adapted = adapt_model(model, target, carried.practice, scene, carried.seed)
        sources = replace(carried, model=adapted.model)
        controller = planning(sources, adapted.model.dynamics, target, self.planner, self.particles)
        pool = int(model.notes.get("transitions", len(model.pool)))
        steps = sum(len(episode.actions) for episode in adapted.episodes)
        return Solution(controller, Costs(pool, steps, carried.labels, parameters(model.dynamics)))
