"""The learned and the true world judge plans alike; only the learned one has gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mbtransfer.errors import UserError
from mbtransfer.mpc.agent import MPCAgent
from mbtransfer.mpc.objective import LearnedDynamics, OracleDynamics
from mbtransfer.mpc.task_reward import TaskReward, TrueRewards
from planners.base import Bounds
from planners.registry import make_planner
from tests.mbtransfer.pushed_point import Exact, Pushed, Toward, pull


@pytest.mark.parametrize("particles", [1, 4])
def test_learned_and_true_world_agree_where_the_model_is_exact(
    particles: int, generator: torch.Generator
) -> None:
    place = torch.randn(3, 2, generator=generator)
    state = np.concatenate([np.zeros((3, 1)), place.numpy()], axis=1)
    plans = torch.randn(3, 7, 5, 2, generator=generator)
    learned = LearnedDynamics(Exact(particles)).objective(place, state, pull, generator)(plans)
    true = OracleDynamics(Pushed()).objective(place, state, pull, generator)(plans)
    assert learned.shape == (3, 7)
    torch.testing.assert_close(learned, true, atol=1e-4, rtol=1e-4)
    path = torch.cat([place[:, None, None].expand(-1, 7, -1, -1),
                      place[:, None, None] + plans.cumsum(dim=2)], dim=2)  # fmt: skip
    torch.testing.assert_close(true, pull(path[:, :, :-1], plans, path[:, :, 1:]).sum(dim=-1))


def test_goals_weigh_tasks_episode_by_episode_in_both_worlds(generator: torch.Generator) -> None:
    """Rows of one episode lie side by side: a mix-up of rows would change the returns."""
    tasks = [Toward("right", "", "user", 1.0), Toward("left", "", "user", -1.0)]
    goal = TaskReward(TrueRewards(tasks), torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]))
    place = torch.randn(3, 2, generator=generator)
    state = np.concatenate([np.zeros((3, 1)), place.numpy()], axis=1)
    plans = torch.randn(3, 7, 5, 2, generator=generator)
    learned = LearnedDynamics(Exact(2)).objective(place, state, goal, generator)(plans)
    true = OracleDynamics(Pushed()).objective(place, state, goal, generator)(plans)
    torch.testing.assert_close(learned, true, atol=1e-4, rtol=1e-4)
    x = (place[:, None, None] + plans.cumsum(dim=2))[..., 0].sum(dim=-1)
    torch.testing.assert_close(true, x * torch.tensor([[1.0], [-1.0], [0.0]]), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["gradient", "hybrid"])
def test_the_simulator_has_no_gradients(name: str) -> None:
    bounds = Bounds(torch.tensor([-1.0, -1.0]), torch.tensor([1.0, 1.0]))
    agent = MPCAgent(OracleDynamics(Pushed()), make_planner(name, bounds, {"horizon": 3}), bounds)
    with pytest.raises(UserError, match="needs gradients"):
        agent.act(torch.zeros(1, 2), np.zeros((1, 3)), pull)
