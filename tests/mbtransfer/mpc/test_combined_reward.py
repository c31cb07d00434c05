"""Rewards of combined tasks are put together from those of their parts, whatever gives the parts' rewards."""

import numpy as np
import pytest
import torch

from mbtransfer.mpc.combined_reward import combined_rewards
from mbtransfer.mpc.task_reward import TrueRewards
from tasks.combinators import all_of, any_of, while_keeping
from tasks.environment import Environment
from tasks.registry import make
from tasks.task import Task


@pytest.fixture(scope="module")
def kitchen() -> Environment:
    return make("kitchen")


@pytest.fixture(scope="module")
def tasks(kitchen: Environment) -> list[Task]:
    tap, drawer, light = (
        kitchen.move("tap", 0.4),
        kitchen.move("drawer", 0.2),
        kitchen.move("light_switch", 0.6),
    )
    both = all_of("both", [tap, drawer])
    either = any_of("either", [both, light])
    return [both, light, either, while_keeping("kept", light, [either]), tap]


def observed(kitchen: Environment, *shape: int) -> torch.Tensor:
    scene, count = kitchen.make_scene(()), torch.Size(shape).numel()
    states = scene.sample_states(np.random.default_rng(0), count)
    return torch.from_numpy(scene.observe(states)).float().reshape(*shape, -1)


def test_they_are_those_of_the_tasks_themselves(kitchen: Environment, tasks: list[Task]) -> None:
    obs, next_obs, action = observed(kitchen, 60), observed(kitchen, 60).flip(0), torch.zeros(60, 4)
    made, true = combined_rewards(tasks, TrueRewards), TrueRewards(tasks)
    assert torch.allclose(made.reward(obs, action, next_obs), true.reward(obs, action, next_obs), atol=1e-5)
    assert torch.equal(made.success(obs), true.success(obs))


def test_pairs_of_episodes_and_tasks_keep_their_order(kitchen: Environment, tasks: list[Task]) -> None:
    obs, action = observed(kitchen, 2, 3, 7), torch.zeros(2, 3, 7, 4)  # steps, episodes, candidates
    rows, which = torch.tensor([2, 0, 1, 1, 0, 2]), torch.tensor([0, 4, 3, 0, 2, 1])
    made = combined_rewards(tasks, TrueRewards).pairs(rows, which)
    true = TrueRewards(tasks).pairs(rows, which)
    assert torch.allclose(made.reward(obs, action, obs), true.reward(obs, action, obs), atol=1e-5)
    assert torch.equal(made.success(obs), true.success(obs))


def test_simple_tasks_are_left_alone(kitchen: Environment) -> None:
    assert isinstance(combined_rewards([kitchen.move("tap", 0.4)], TrueRewards), TrueRewards)
