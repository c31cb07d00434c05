"""Model transfer, zero-shot: dynamics learned from the whole pool, a reward head from labels, and a planner.

The dynamics are those of the environment and not of a task, so that a task needs its reward alone (Chua et al. 2018,
"Deep reinforcement learning in a handful of trials using probabilistic dynamics models", algorithm 1; as transfer: Zhu
et al. 2023, "Transfer learning in deep reinforcement learning: a survey", section 5.5).
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from mbtransfer.mpc.controller import PARTICLES, PLANNER, Controller, model_controller
from mbtransfer.transfer.method import Costs, Method, Solution, Sources, parameters
from tasks.task import Task
from world_models.dynamics.ensemble import EnsembleDynamics


@dataclass(frozen=True)
class ModelTransfer(Method[Sources]):
    """Carries the dynamics.

    Attributes:
        planner: name of the planner.
        particles: imagined futures per plan.
    """

    name: ClassVar[str] = "model"
    without_practice: ClassVar[bool] = True
    planner: str = PLANNER
    particles: int = PARTICLES

    def pretrain(self, sources: Sources) -> Sources:
        """Nothing: the pooled model is there already."""
        return sources

    def solve(self, carried: Sources, target: Task) -> Solution:
        """Fit the target's reward head and plan for it."""
        model, labels = carried.model, carried.labels
        controller = planning(carried, model.dynamics, target, self.planner, self.particles)
        pool = int(model.notes.get("transitions", len(model.pool)))
        return Solution(controller, Costs(pool, 0, labels, parameters(model.dynamics)))


def planning(
    sources: Sources,
    dynamics: EnsembleDynamics,
    task: Task,
    planner: str = PLANNER,
    particles: int = PARTICLES,
) -> Controller:
    """A controller that plans in `dynamics` for a learned reward, whose head it fits."""
    model, labels = sources.model, sources.labels
    model.rewards([task], labels)
    return model_controller(
        model.environment, dynamics, rewards=partial(model.rewards, labels=labels), labels=labels, planner=planner,
        particles=particles, device=model.device,
    )  # fmt: skip
