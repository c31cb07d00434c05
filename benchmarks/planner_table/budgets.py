"""The same budget for every planner, counted rather than believed."""

from collections.abc import Mapping

import torch
from torch import Tensor

from planners.base import Bounds
from planners.registry import make_planner

BUDGETS = {"small": 32, "medium": 96, "large": 288}
"""Plans that one decision may score, over all its iterations."""

GRADIENT = 3
"""What scoring a plan and its gradient costs, in plans scored: going back is about twice going forth."""

DIFFERENTIATING = ("gradient", "hybrid")
"""Planners that the simulator cannot serve."""

Settings = dict[str, int | float]

VARIANTS: dict[str, tuple[str, Settings]] = {
    "mppi, 3 x ess 0.1": ("mppi", {"iterations": 3, "ess": 0.1}),
}
"""Rows that are a planner with other settings: here MPPI for rewards of any unit, in several rounds."""


def search_of(row: str, budget: int, horizon: int) -> tuple[str, Settings]:
    """The planner of a row, and its usual way of searching with as many candidates as the budget pays for.

    Their number is found by bisection: counted, as elites and refinements grow with it.
    """
    planner, more = VARIANTS.get(row, (row, {}))
    few, many = 1, budget + 1
    while many - few > 1:
        middle = (few + many) // 2
        pays = spent(planner, _shape(planner, middle, horizon) | more) <= budget
        few, many = (middle, many) if pays else (few, middle)
    return planner, _shape(planner, few, horizon) | more


def _shape(planner: str, candidates: int, horizon: int) -> Settings:
    """Iterations as usual, as far as two plans can climb; elites and refinements are 8 and 5 for 64 candidates."""
    elites = min(candidates, max(2, candidates // 8))
    shape: dict[str, Settings] = {
        "mppi": {"iterations": 1},
        "icem": {"iterations": 3, "elites": elites},
        "cem": {"iterations": 3, "elites": elites},
        "gradient": {"iterations": 5 if candidates < 3 else 10},
        "hybrid": {
            "iterations": 3, "elites": elites, "refined": max(1, elites // 2),
            "refinements": min(5, max(2, candidates // 8)),
        },
        "random_shooting": {},
    }  # fmt: skip
    return {"horizon": horizon, "candidates": candidates, **shape[planner]}


def spent(planner: str, settings: Mapping[str, int | float]) -> int:
    """Plans that a decision of one episode scores, the last decision's elites among them; see `GRADIENT`."""
    bounds = Bounds(-torch.ones(1), torch.ones(1))
    made, count = make_planner(planner, bounds, settings), _Count()
    generator = torch.Generator().manual_seed(0)
    first = made.plan(count, torch.zeros(1, made.horizon, 1), generator)
    count.plans = 0
    made.plan(count, first.shifted(), generator, proposals=first.shifted_elites())
    return count.plans


class _Count:
    """An objective that counts what it is asked."""

    plans = 0

    def __call__(self, candidates: Tensor) -> Tensor:
        self.plans += candidates.shape[1] * (GRADIENT if candidates.requires_grad else 1)
        return -candidates.square().sum(dim=(2, 3))


def rows_for(differentiable: bool) -> list[str]:
    """Planners that can be used, and variants of them, the plainest first."""
    rows = ["random_shooting", "cem", "icem", "mppi", *VARIANTS, "gradient", "hybrid"]
    return [row for row in rows if differentiable or row not in DIFFERENTIATING]
