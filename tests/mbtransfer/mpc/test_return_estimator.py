"""From rewards along particles to the return of a plan."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from mbtransfer.errors import UserError
from mbtransfer.mpc.agent import MPCAgent
from mbtransfer.mpc.objective import FORBIDDEN, LearnedDynamics, ReturnEstimator
from planners.base import Bounds
from planners.registry import make_planner
from world_models.dynamics.rollout import Imagination, Imagined
from world_models.uncertainty.disagreement import DisagreementScale

REWARDS = torch.tensor([[[1.0], [3.0]], [[2.0], [4.0]]])  # 2 steps, 2 particles, 1 plan
PATH = torch.zeros(3, 2, 1, 1)
ACTIONS = torch.zeros(2, 1, 1, 1)


def returns(path: Tensor = PATH, **settings: object) -> float:
    futures = Imagined(path, path, torch.ones(1))
    return float(ReturnEstimator(**settings).returns(REWARDS, futures, ACTIONS))  # type: ignore[arg-type]


def test_discount_and_value_at_the_end() -> None:
    assert returns() == 5.0
    assert returns(discount=0.5) == 3.5
    assert returns(value=lambda obs: obs[..., 0] + 8.0) == 13.0
    assert returns(discount=0.5, value=lambda obs: obs[..., 0] + 8.0) == 5.5


def test_risk_picks_among_the_particles() -> None:
    assert (returns(risk="cvar"), returns(risk="optimistic")) == (3.0, 7.0)
    assert returns(risk="cvar", tail=1.0) == returns(risk="optimistic", tail=1.0) == 5.0


def test_doubt_costs_in_percentiles() -> None:
    scale = DisagreementScale(torch.linspace(0, 1, 101).expand(2, -1))
    apart = PATH.clone()
    apart[1:, 1] = 0.7  # the spread of 0 and 0.7 is 0.35 times the square root of 2
    share = 0.35 * 2**0.5
    assert returns(apart, uncertainty_penalty=2.0, scale=scale) == pytest.approx(5 - 2 * 2 * share, abs=1e-4)
    assert returns(apart, uncertainty_penalty=-2.0, scale=scale) == pytest.approx(5 + 2 * 2 * share, abs=1e-4)
    assert returns(10 * apart, uncertainty_penalty=1.0, scale=scale) == pytest.approx(5 - 2)


def test_a_broken_constraint_outweighs_any_reward() -> None:
    def below(obs: Tensor, action: Tensor, next_obs: Tensor) -> Tensor:
        return next_obs[..., 0] - 1.0

    high = PATH.clone()
    high[2, 1] = 1.5
    assert returns(constraints=(below,)) == 5.0
    assert returns(high, constraints=(below,)) == pytest.approx(-FORBIDDEN - 0.5)


@pytest.mark.parametrize(
    "bad",
    [{"discount": 0.0}, {"discount": 1.1}, {"tail": 0.0}, {"risk": "bold"}, {"uncertainty_penalty": 1.0}],
)
def test_settings_that_make_no_sense_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises((UserError, TypeError), match=next(iter(bad))):
        ReturnEstimator(**bad)  # type: ignore[arg-type]


class Sum(Imagination):
    """The place is the sum of the actions."""

    def __init__(self) -> None:
        self.particles = 1

    def __call__(self, obs: Tensor, actions: Tensor, generator: torch.Generator | None = None) -> Imagined:
        path = torch.cat([obs[:, None], obs[:, None] + actions.cumsum(dim=1)], dim=1).transpose(0, 1)[:, None]
        return Imagined(path, path, torch.ones(obs.shape[1]))


@pytest.mark.parametrize("name", ["mppi", "cem", "icem", "random_shooting", "gradient", "hybrid"])
def test_every_planner_keeps_to_what_is_allowed_and_says_when_it_cannot(name: str) -> None:
    """Rewarded for going up, forbidden above 0.8; an episode that starts far above it cannot obey."""
    bounds = Bounds(torch.tensor([-1.0]), torch.tensor([1.0]))
    rule = ReturnEstimator(constraints=(lambda obs, action, next_obs: next_obs[..., 0] - 0.8,))
    planner = make_planner(name, bounds, {"horizon": 2, "candidates": 256})
    agent = MPCAgent(LearnedDynamics(Sum(), rule), planner, bounds)
    agent.act(torch.tensor([[0.0], [9.0]]), np.zeros((2, 1)), lambda obs, action, next_obs: next_obs[..., 0])
    assert agent.violation is not None and agent.plan is not None
    assert float(agent.violation[0]) == 0.0 and float(agent.violation[1]) > 6.0
    assert float(agent.plan.actions[0].sum()) > 0.1
    assert float(agent.plan.actions[1].mean()) < -0.4  # as little beyond as can be
