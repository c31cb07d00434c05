"""The control that knows a handle and nothing else."""

import numpy as np
import pytest
import torch

from tasks.errors import TaskError
from tasks.registry import make
from tasks.task import approaches


def test_it_is_rewarded_for_nearness_alone_and_judged_as_the_task() -> None:
    kitchen = make("kitchen")
    scene, task = kitchen.make_scene(()), kitchen.task("drawer_open")
    obs = torch.from_numpy(scene.observe(scene.sample_states(np.random.default_rng(0), 40)))
    control = approaches([task])[0]
    assert control.name == task.name and torch.equal(control.success(obs), task.success(obs))
    assert torch.equal(control.is_valid_start(obs), task.is_valid_start(obs))
    elsewhere = obs.clone()
    elsewhere[:, kitchen.spec.fixture("drawer").position] += 0.1
    action = torch.zeros(len(obs), kitchen.spec.action_size)
    assert torch.equal(control.reward(obs, action, obs), control.reward(obs, action, elsewhere))
    way = obs[:, list(kitchen.spec.fixture("drawer").handle)].norm(dim=-1)
    torch.testing.assert_close(control.reward(obs, action, obs), -way)


def test_a_task_without_a_handle_has_no_control() -> None:
    with pytest.raises(TaskError, match="no handle"):
        approaches([make("kitchen").reach([0.0, 0.0, 0.5])])
