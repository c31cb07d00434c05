from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tasks.environment import Environment
from tasks.registry import make
from tasks.simulator import Simulator


@pytest.fixture(scope="session")
def kitchen() -> Environment:
    return make("kitchen")


@pytest.fixture(scope="session")
def scene(kitchen: Environment) -> Simulator:
    return kitchen.make_scene(())


@pytest.fixture(scope="session")
def transitions(scene: Simulator) -> tuple[Tensor, Tensor, Tensor]:
    """24 transitions from random starts: obs [24, O], action [24, A], next_obs [24, O]."""
    rng = np.random.default_rng(0)
    states = scene.sample_states(rng, 24)
    actions = rng.uniform(-1, 1, (24, 1, scene.spec.action_size)).astype(np.float32)
    after = scene.rollout(states, actions)[:, 0]
    arrays = scene.observe(states), actions[:, 0], scene.observe(after)
    obs, action, next_obs = (torch.from_numpy(array) for array in arrays)
    return obs, action, next_obs
