"""Plans under hidden parameters, in a world where the parameter k makes a push exp(k) times as long."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mbtransfer.errors import UserError
from mbtransfer.model import model_layout
from mbtransfer.mpc.controller import model_controller
from mbtransfer.mpc.identification import DynamicsUnder, IdentifyingAgent, identifying_controller
from mbtransfer.mpc.objective import ReturnEstimator
from planners.base import Bounds
from planners.registry import make_planner
from tasks.hidden_parameters import Ranges
from tasks.randomised import randomised
from tasks.registry import make
from world_models.dynamics.ensemble import EnsembleConfig, EnsembleDynamics
from world_models.dynamics.rollout import Imagination, Imagined
from world_models.identification.encoder import Belief, ParameterEncoder

BOUNDS = Bounds(torch.tensor([-1.0]), torch.tensor([1.0]))
ENDS = torch.tensor([[-1.0], [1.0]])
STATE = np.zeros((2, 1))


class Pushes(Imagination):
    """Columns are place and k; place' = place + exp(k) action."""

    def __init__(self) -> None:
        self.particles = 2

    def __call__(self, obs: Tensor, actions: Tensor, generator: torch.Generator | None = None) -> Imagined:
        steps = (obs[:, 1].exp()[:, None] * actions[..., 0]).cumsum(dim=1)
        place = torch.cat([obs[:, :1], obs[:, :1] + steps], dim=1).T
        path = torch.stack([place, obs[:, 1].expand_as(place)], dim=-1)[:, None].expand(-1, 2, -1, -1)
        return Imagined(path, path, torch.ones(2))


def near_one(obs: Tensor, action: Tensor, next_obs: Tensor) -> Tensor:
    return -(next_obs[..., 0] - 1.0).abs()


def under(parameters: list[list[float]], **risk: Any) -> DynamicsUnder:
    """Two episodes, and some values of k for each."""
    return DynamicsUnder(Pushes(), torch.tensor(parameters)[..., None], ReturnEstimator(**risk))


def returns(dynamics: DynamicsUnder, push: float) -> list[float]:
    plans = torch.full((2, 1, 1, 1), push)
    objective = dynamics.objective(torch.zeros(2, 1), STATE, near_one, torch.Generator())
    found: list[float] = objective(plans)[:, 0].tolist()
    return found


def test_each_episode_is_imagined_under_its_own_parameters() -> None:
    k = math.log(2.0)
    assert returns(under([[0.0, k]]), 0.5) == pytest.approx([-0.5, 0.0])


def test_particles_of_all_draws_count_by_mean_or_by_the_worst_share() -> None:
    draws = [[0.0, 0.0], [math.log(2.0), math.log(4.0)]]
    assert returns(under(draws), 0.5) == pytest.approx([-0.25, -0.75])
    assert returns(under(draws, risk="cvar", tail=0.5), 0.5) == pytest.approx([-0.5, -1.0])


def test_candidates_stay_with_their_episode() -> None:
    plans = torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])[..., None, None]
    draws = [[0.0, math.log(2.0)], [0.0, math.log(2.0)], [0.0, math.log(2.0)]]
    objective = under(draws).objective(torch.zeros(2, 1), STATE, near_one, torch.Generator())
    expected = torch.tensor([[-0.9, -0.8, -0.7], [-0.2, 0.0, -0.2]])
    torch.testing.assert_close(objective(plans), expected)


def test_a_policy_that_proposes_does_not_see_parameters() -> None:
    widths = []

    def policy(rows: Tensor) -> Tensor:
        widths.append(rows.shape[1])
        return 1.0 - rows

    plans = under([[0.0, math.log(2.0)]]).rollouts(torch.zeros(4, 1), np.zeros((4, 1)), policy, 2)
    assert set(widths) == {1}
    expected = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, -1.0], [1.0, -1.0]])
    torch.testing.assert_close(plans[..., 0], expected)


class Exact(ParameterEncoder):
    """Knows k from one transition."""

    def __init__(self, deviation: float = 0.0) -> None:
        super().__init__(1, 1, 1)
        self.deviation = deviation

    def embed(self, obs: Tensor, actions: Tensor, next_obs: Tensor) -> Tensor:
        return ((next_obs - obs) / actions).log()

    def believe(self, embedded: Tensor) -> Belief:
        mean = embedded.mean(dim=1)
        return Belief(mean, torch.full_like(mean, self.deviation))


def agent_of(**settings: Any) -> IdentifyingAgent:
    planner = make_planner("icem", BOUNDS, {"horizon": 1, "candidates": 64, "iterations": 4})
    return IdentifyingAgent(under([[0.0, 0.0]]), planner, BOUNDS, ends=ENDS, **settings)


def parameters_of(agent: IdentifyingAgent) -> Tensor:
    assert isinstance(agent.dynamics, DynamicsUnder)
    return agent.dynamics.parameters[..., 0]


def test_what_is_identified_is_planned_with_as_if_it_were_told() -> None:
    agent, k = agent_of(encoder=Exact()), torch.tensor([[-0.5], [0.5]])
    start = torch.zeros(2, 1)
    first = agent.act(start, STATE, near_one)
    assert agent.belief is None
    assert parameters_of(agent).tolist() == [[0.0, 0.0]]  # the middle of the ranges
    moved = start + k.exp() * first
    agent.act(moved, STATE, near_one)
    torch.testing.assert_close(parameters_of(agent), k.T)
    agent.reset()
    again = agent.act(start, STATE, near_one)
    torch.testing.assert_close(parameters_of(agent), k.T)
    torch.testing.assert_close(again, torch.tensor([[1.0], [math.exp(-0.5)]]), atol=0.02, rtol=0)


def test_what_is_identified_stays_within_the_ranges_and_goes_with_its_episode() -> None:
    agent, k = agent_of(encoder=Exact()), torch.tensor([[0.3], [3.0]])
    first = agent.act(torch.zeros(2, 1), STATE, near_one)
    agent.keep(torch.tensor([False, True]))
    agent.act((k.exp() * first)[1:], STATE[1:], near_one)
    assert parameters_of(agent).tolist() == [[1.0]]
    assert agent.belief is not None
    torch.testing.assert_close(agent.belief.mean, k[1:])


def test_only_the_last_transitions_count() -> None:
    agent, place = agent_of(encoder=Exact(), window=2), torch.zeros(2, 1)
    for k in (0.9, 0.2, -0.2):
        place = place + math.exp(k) * agent.act(place, STATE, lambda obs, action, after: action[..., 0])
    agent.act(place, STATE, near_one)
    torch.testing.assert_close(parameters_of(agent), torch.zeros(1, 2), atol=1e-5, rtol=0)


def test_draws_are_as_far_apart_as_the_doubt_or_the_ranges() -> None:
    agent = agent_of(encoder=None, draws=500)
    agent.act(torch.zeros(2, 1), STATE, near_one)
    drawn = parameters_of(agent)
    assert drawn.abs().max() <= 1
    assert float(drawn.std()) == pytest.approx(2 / 12**0.5, rel=0.1)
    agent = agent_of(encoder=Exact(0.1), draws=500)
    action = agent.act(torch.zeros(2, 1), STATE, near_one)
    agent.act(math.exp(0.4) * action, STATE, near_one)
    assert float(parameters_of(agent).mean()) == pytest.approx(0.4, abs=0.02)
    assert float(parameters_of(agent).std()) == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize("settings", [{"draws": 0}, {"window": 0}])
def test_an_agent_needs_draws_and_a_window(settings: dict[str, int]) -> None:
    with pytest.raises(UserError, match="needs at least 1 draw and 1 transition"):
        agent_of(encoder=None, **settings)


@pytest.fixture(scope="module")
def cartpole() -> SimpleNamespace:
    plain, ranges = make("dm_control:cartpole"), Ranges(mass=(0.5, 2.0))
    told, untold = (randomised(plain, ranges, told=told) for told in (True, False))
    dynamics = EnsembleDynamics(model_layout(told.spec), EnsembleConfig(2, "dense", 8))
    with torch.no_grad():
        dynamics.weights[-1].mul_(30.0)  # so that it matters what is done
    return SimpleNamespace(told=told, untold=untold, ranges=ranges, dynamics=dynamics)


def upright(obs: Tensor, action: Tensor, next_obs: Tensor) -> Tensor:
    return next_obs[..., 1]


def test_a_controller_plans_as_one_that_is_told_where_it_guesses_right(cartpole: SimpleNamespace) -> None:
    settings = {"horizon": 3, "candidates": 24, "iterations": 2}
    told = model_controller(cartpole.told, cartpole.dynamics, settings=settings)
    found = identifying_controller(
        cartpole.untold, cartpole.dynamics, cartpole.ranges, None, settings=settings
    )
    scene = cartpole.told.make_scene(())
    states = scene.with_parameters(scene.sample_states(np.random.default_rng(0), 2), np.zeros(1))
    seen = torch.from_numpy(scene.observe(states))
    first = told.agent(0).act(seen, states, upright)
    assert torch.equal(found.agent(0).act(seen[:, :-1], states, upright), first)
    heavy = torch.cat([seen[:, :-1], torch.ones(2, 1)], dim=1)
    assert not torch.equal(told.agent(0).act(heavy, states, upright), first)


def test_dynamics_that_read_no_parameters_are_refused(cartpole: SimpleNamespace) -> None:
    blind = EnsembleDynamics(model_layout(cartpole.untold.spec), EnsembleConfig(2, "dense", 8))
    with pytest.raises(UserError, match="the dynamics read 5 columns, which are not those of dm_control"):
        identifying_controller(cartpole.untold, blind, cartpole.ranges, None)
