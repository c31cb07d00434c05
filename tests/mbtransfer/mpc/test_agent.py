"""The agent: it goes on with its plans, shifted, kept, forgotten and proposed again; its time, seed and policy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from mbtransfer.mpc.agent import MPCAgent, Seeding, action_bounds
from mbtransfer.mpc.objective import LearnedDynamics, OracleDynamics
from planners.base import Bounds
from planners.registry import make_planner
from tasks.registry import make
from tests.mbtransfer.counting_planner import BOUNDS, Counting, Target, act, counting, nothing
from tests.mbtransfer.pushed_point import Exact, Pushed

KITCHEN = make("kitchen")


def test_a_plan_is_followed_between_decisions_unless_it_is_dropped() -> None:
    often, rare = counting()[0], counting(replan=3)
    agent, planner = rare
    first = [act(agent, 1) for _ in range(3)]
    torch.testing.assert_close(torch.cat(first) - first[0], torch.arange(3.0)[:, None].expand(3, 2))
    assert len(planner.starts) == 1
    act(agent, 1)
    torch.testing.assert_close(planner.starts[1], first[2].expand(3, 2)[None])
    assert planner.proposals[1] is not None and len(planner.starts) == 2
    agent.forget(torch.tensor([True]))
    act(agent, 1)
    assert len(planner.starts) == 3
    torch.testing.assert_close(act(often, 1), first[0])


def test_a_plan_begins_in_the_middle_of_the_box_and_goes_on_shifted() -> None:
    agent, planner = counting()
    middle = torch.tensor([0.0, 0.5])
    torch.testing.assert_close(act(agent, 2), middle + torch.ones(2, 2))
    torch.testing.assert_close(planner.starts[0], middle.expand(2, 3, 2))
    act(agent, 2)
    expected = (middle + torch.tensor([2.0, 3.0, 3.0])[:, None]).expand(2, 3, 2)
    torch.testing.assert_close(planner.starts[1], expected)
    assert agent.plan is not None and agent.plan.actions.shape == (2, 3, 2)


@pytest.mark.parametrize("rows", [torch.tensor([True, False, True]), torch.tensor([0, 2])])
def test_keep_goes_on_with_some_episodes(rows: Tensor) -> None:
    agent, planner = counting()
    agent.keep(rows)  # nothing is planned yet
    act(agent, 3)
    agent._plan = torch.arange(3.0)[:, None, None].expand(3, 3, 2)
    agent.keep(rows)
    act(agent, 2)
    assert planner.starts[-1][:, 0, 0].tolist() == [0.0, 2.0]


def test_forget_drops_the_plans_of_some_episodes() -> None:
    agent, planner = counting()
    agent.forget(torch.tensor([True, True]))  # nothing is planned yet
    act(agent, 2)
    before = agent._plan
    agent.forget(torch.tensor([False, False]))
    assert agent._plan is before
    agent.forget(torch.tensor([True, False]))
    act(agent, 2)
    torch.testing.assert_close(planner.starts[-1][0], BOUNDS.middle.expand(3, 2))
    assert float(planner.starts[-1][1, 0, 0]) == 2.0


def test_reset_forgets_everything() -> None:
    agent, planner = counting()
    act(agent, 4)
    agent.reset()
    act(agent, 2)
    torch.testing.assert_close(planner.starts[-1], BOUNDS.middle.expand(2, 3, 2))


def test_elites_are_proposed_again_and_forgotten_with_the_plan() -> None:
    agent, planner = counting()
    act(agent, 2)
    assert planner.proposals == [None]
    agent.forget(torch.tensor([False, True]))
    act(agent, 2)
    found = planner.proposals[-1]
    assert found is not None
    torch.testing.assert_close(found[0, 0], planner.starts[-1][0])
    torch.testing.assert_close(found[1, 0], BOUNDS.middle.expand(3, 2))
    agent.keep(torch.tensor([True, False]))
    act(agent, 1)
    assert planner.proposals[-1] is not None and planner.proposals[-1].shape == (1, 1, 3, 2)
    agent.reset()
    act(agent, 1)
    assert planner.proposals[-1] is None


def test_time_is_given_to_each_episode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mbtransfer.mpc.agent.perf_counter", lambda: 100.0)
    planner = Counting()
    agent = MPCAgent(Target(torch.zeros(2)), planner, BOUNDS, decision_ms=20.0)
    act(agent, 3)
    assert planner.deadlines == [pytest.approx(100.06)]


@pytest.mark.parametrize("name", ["mppi", "icem", "cem", "random_shooting", "hybrid"])
def test_every_planner_gets_to_the_target_and_a_warm_start_helps(name: str) -> None:
    target = torch.tensor([0.6, 0.2])
    settings = {"horizon": 4, "candidates": 64, "iterations": 1}
    if name == "random_shooting":
        del settings["iterations"]
    agents = [
        MPCAgent(Target(target), make_planner(name, BOUNDS, settings), BOUNDS, seed) for seed in range(3)
    ]
    gaps = np.array([[(act(agent, 2) - target).norm(dim=1).mean() for _ in range(12)] for agent in agents])
    assert gaps[:, -1].max() < 0.35
    if name != "random_shooting":
        assert gaps[:, -4:].mean() < gaps[:, 0].mean()


def test_a_seed_gives_the_same_actions() -> None:
    one, same, other = (
        MPCAgent(Target(torch.zeros(2)), make_planner("mppi", BOUNDS, {"horizon": 4}), BOUNDS, seed)
        for seed in (0, 0, 1)
    )
    for _ in range(3):
        first = act(one, 2)
        assert torch.equal(first, act(same, 2)) and not torch.equal(first, act(other, 2))


def test_the_action_box_of_an_environment() -> None:
    bounds = action_bounds(KITCHEN.spec)
    assert bounds.low.tolist() == [v.low for v in KITCHEN.spec.action]
    assert bounds.high.tolist() == [v.high for v in KITCHEN.spec.action]


@pytest.mark.parametrize("world", ["learned", "true"])
def test_a_policy_proposes_what_it_would_do(world: str) -> None:
    """It steers to the origin; in both worlds an action is a step."""

    def home(obs: Tensor) -> Tensor:
        return (-obs).clamp(-1, 1)

    dynamics = LearnedDynamics(Exact(2)) if world == "learned" else OracleDynamics(Pushed())
    planner = Counting()
    bounds = Bounds(torch.tensor([-1.0, -1.0]), torch.tensor([1.0, 1.0]))
    agent = MPCAgent(dynamics, planner, bounds, seeding=Seeding(home, plans=4, noise=0.1))
    obs = torch.tensor([[1.5, -0.5], [0.0, 0.0]])
    agent.act(obs, np.concatenate([np.zeros((2, 1)), obs.numpy()], axis=1), nothing)
    found = planner.proposals[0]
    assert found is not None and found.shape == (2, 4, 3, 2)
    expected = torch.tensor([[-1.0, 0.5], [-0.5, 0.0], [0.0, 0.0]])
    torch.testing.assert_close(found[0, 0], expected)
    assert not torch.equal(found[0, 1], found[0, 0]) and bool((found.abs() <= 1).all())
