"""A world that does not wait: plans act late, the last plan goes on meanwhile, and a known delay can be made up for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from mbtransfer.errors import UserError
from mbtransfer.mpc.agent import MPCAgent
from mbtransfer.mpc.late_agent import Clock, LateAgent
from mbtransfer.mpc.objective import LearnedDynamics, OracleDynamics
from planners.base import Bounds
from planners.registry import make_planner
from tests.mbtransfer.counting_planner import BOUNDS, Counting, Target, act
from tests.mbtransfer.pushed_point import Exact, Pushed

LINE = Bounds(-torch.ones(1), torch.ones(1))
GOAL = 3.0


def late(delays: Sequence[int], *, compensate: bool = True, seed: int = 0) -> LateAgent:
    """An agent in a world that it knows exactly: a point on a line, pushed by at most 1."""
    planner = make_planner("cem", LINE, {"horizon": 6, "candidates": 200, "iterations": 6, "elites": 10})
    clock = Clock(tuple(delays), compensate)
    return LateAgent(LearnedDynamics(Exact(1)), planner, LINE, clock=clock, seed=seed)


def near(obs: Tensor, action: Tensor, next_obs: Tensor) -> Tensor:
    """Be at the goal."""
    return -(next_obs[..., 0] - GOAL).abs()


def walked(agent: MPCAgent, steps: int = 14) -> list[float]:
    """Where the point is after each control step, from 0 on."""
    place, path = torch.zeros(1, 1), []
    for _ in range(steps):
        place = place + agent.act(place, np.zeros((1, 1)), near)
        path.append(float(place))
    return path


def counting(delays: Sequence[int], *, compensate: bool = False) -> tuple[LateAgent, Counting]:
    """An agent whose planner returns its start plus 1, 2, 3."""
    planner = Counting()
    clock = Clock(tuple(delays), compensate)
    return LateAgent(Target(torch.zeros(2)), planner, BOUNDS, clock=clock), planner


def test_latencies_are_rounded_up_to_control_steps() -> None:
    assert Clock.of([0.0, 1.0, 100.0, 100.1], 0.1).delays == (0, 1, 1, 2)
    assert Clock.of([25.0], 0.1, speed=16.0).delays == (4,)
    assert Clock.of([25.0], 0.1, speed=0.25).delays == (1,)
    for delays in ((), (1, -1)):
        with pytest.raises(UserError, match="delays"):
            Clock(delays)


def test_without_delay_it_acts_as_any_other_agent() -> None:
    planner = make_planner("cem", LINE, {"horizon": 6, "candidates": 30, "iterations": 2})
    frozen = MPCAgent(LearnedDynamics(Exact(1)), planner, LINE)
    real = LateAgent(LearnedDynamics(Exact(1)), planner, LINE, clock=Clock((0,)))
    assert walked(frozen) == walked(real)


def test_a_plan_acts_late_and_the_last_one_goes_on_meanwhile() -> None:
    agent, planner = counting([2])
    middle = BOUNDS.middle
    actions = [act(agent, 1)[0] for _ in range(6)]
    # Two steps in the middle of the box; then the first plan, from its third action on; held until the next is there.
    for step, expected in enumerate([0, 0, 3, 3]):
        torch.testing.assert_close(actions[step], middle + expected)
    assert len(planner.starts) == 3, "a decision begins when the last one is over"
    torch.testing.assert_close(planner.starts[1][0], middle + torch.full((3, 1), 3.0))


def test_delays_are_taken_in_turn() -> None:
    agent, planner = counting([1, 3])
    began = []
    for _ in range(9):
        act(agent, 1)
        began.append(len(planner.starts))
    assert began == [1, 2, 2, 2, 3, 4, 4, 4, 5]


def test_a_known_delay_is_made_up_for() -> None:
    path = walked(late([2]))
    assert path[:2] == [0.0, 0.0]
    np.testing.assert_allclose(path[6:], GOAL, atol=0.1)
    assert max(path) < GOAL + 0.3, "it hardly goes too far"


def test_a_delay_that_nobody_makes_up_for_costs_something() -> None:
    def cost(*, compensate: bool) -> float:
        return sum(abs(place - GOAL) for place in walked(late([3], compensate=compensate), 20))

    assert cost(compensate=True) < 0.8 * cost(compensate=False)


def test_a_plan_that_is_ready_too_early_waits_and_one_that_is_late_loses_its_first_actions() -> None:
    path = walked(late([3, 1, 1, 3, 2]), 24)
    np.testing.assert_allclose(path[-6:], GOAL, atol=0.15)


def test_episodes_are_kept_and_forgotten_with_their_plans() -> None:
    agent, planner = counting([2])
    for _ in range(3):
        act(agent, 2)
    agent.forget(torch.tensor([True, False]))
    gone, goes_on = act(agent, 2)
    torch.testing.assert_close(gone, BOUNDS.middle)
    torch.testing.assert_close(goes_on, BOUNDS.middle + 3)
    agent.keep(torch.tensor([False, True]))
    assert act(agent, 1).shape == (1, 2)
    assert len(planner.starts[-1]) == 1
    agent.reset()
    torch.testing.assert_close(act(agent, 3), BOUNDS.middle.expand(3, 2))


def test_the_simulator_knows_where_the_world_will_be() -> None:
    planner = make_planner("cem", LINE, {"horizon": 6, "candidates": 200, "iterations": 6, "elites": 10})
    scene, state = Pushed(), np.zeros((1, 2))
    agent = LateAgent(OracleDynamics(scene), planner, LINE, clock=Clock((2,)))
    for _ in range(9):
        obs = torch.from_numpy(scene.observe(state))
        state = scene.rollout(state, agent.act(obs, state, near)[:, None].numpy())[:, 0]
    assert float(state[0, 1]) == pytest.approx(GOAL, abs=0.1)
