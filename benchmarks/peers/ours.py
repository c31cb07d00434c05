"""This package: `planners` over `world_models.Imagination`, put together as an agent does it."""

import numpy as np
import torch
from torch import Tensor

from benchmarks.peers.entry import Entry
from benchmarks.peers.work import Work
from mbtransfer.mpc.objective import LearnedDynamics
from planners.base import Bounds
from planners.registry import make_planner
from world_models.dynamics.rollout import Imagination

PACKAGE = "mbtransfer"
PRECISIONS = ("float32", "bfloat16", "auto")


def entries(work: Work) -> list[Entry]:
    """Both searches in every precision, settings other than the sizes at their defaults."""
    return [_entry(work, search, precision) for search in ("cem", "mppi") for precision in PRECISIONS]


def _entry(work: Work, search: str, precision: str) -> Entry:
    imagination = Imagination(
        work.dynamics, work.sizes.particles, "tsinf", precision, rows=work.sizes.candidates
    )

    def predict(obs: Tensor, action: Tensor) -> Tensor:
        return imagination(obs, action[:, None]).particles[1]

    return Entry(search, PACKAGE, precision, _Decisions(work, search, imagination), predict)


class _Decisions:
    """One after the other, each starting from the last plan shifted."""

    def __init__(self, work: Work, search: str, imagination: Imagination) -> None:
        sizes = work.sizes
        bounds = Bounds(-torch.ones(sizes.action), torch.ones(sizes.action))
        settings = {"horizon": sizes.horizon, "candidates": sizes.candidates, "iterations": sizes.iterations}
        if search == "cem":
            settings["elites"] = sizes.elites
        self.planner = make_planner(search, bounds, settings)
        self.dynamics, self.reward = LearnedDynamics(imagination), work.reward
        self.plan = torch.zeros(1, sizes.horizon, sizes.action)
        self.generator = torch.Generator().manual_seed(0)

    def __call__(self, obs: Tensor) -> Tensor:
        objective = self.dynamics.objective(obs[None], np.empty((1, 0)), self.reward, self.generator)
        plan = self.planner.plan(objective, self.plan, self.generator)
        self.plan = plan.shifted()
        return plan.actions[0, 0]
