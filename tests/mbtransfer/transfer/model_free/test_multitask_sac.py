"""One soft actor-critic of several tasks, each with a temperature of its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mbtransfer.errors import UserError
from mbtransfer.transfer.method import Sources
from mbtransfer.transfer.model_free.multitask_sac import MultitaskSAC
from mbtransfer.transfer.model_free.stable_baselines import SACConfig, own_randomness, train_sac
from mbtransfer.transfer.model_free.task_episodes import TaskEpisodes
from tests.mbtransfer.transfer.point_world import CORNERS, arrived, go, point_model

pytest.importorskip("stable_baselines3", reason="needs the extra transfer")

from mbtransfer.transfer.model_free.task_temperatures import TaskTemperatureSAC

QUICK = SACConfig(rate=3e-3, batch=64, discount=0.8, follow=0.02, warm_up=100, width=32)
NEAR = go(0.65, -0.65, "held_out")
"""Within reach of a corner's policy."""


@pytest.fixture
def sources() -> Sources:
    return Sources(point_model(), CORNERS, 500, 0)


def made(sources: Sources, tasks: int, steps: int) -> TaskTemperatureSAC:
    contexts = torch.eye(4)[:tasks, : 4 * (tasks > 1)]
    env = TaskEpisodes(sources.model.environment, CORNERS[:tasks], contexts.numpy())
    return TaskTemperatureSAC(
        contexts=contexts, policy="MlpPolicy", env=env, seed=3, device="cpu", **QUICK.arguments(steps)
    )


def test_with_one_task_it_is_the_library_s_own(sources: Sources) -> None:
    steps = 130
    plain = train_sac(TaskEpisodes(sources.model.environment, CORNERS[:1]), steps, QUICK, 3)
    with own_randomness():
        ours = made(sources, 1, steps)
        ours.learn(steps)
    for name, weights in plain.policy.state_dict().items():
        torch.testing.assert_close(ours.policy.state_dict()[name], weights)
    assert plain.log_ent_coef is not None
    torch.testing.assert_close(ours.log_temperatures, plain.log_ent_coef.detach(), check_stride=False)
    assert float(ours.log_temperatures.detach()) != 0.0


def test_a_temperature_learns_from_its_own_task_alone(sources: Sources) -> None:
    with own_randomness():
        agent = made(sources, 4, 50)
        agent.learn(1)  # makes the logger
        assert agent.replay_buffer is not None
        agent.replay_buffer.reset()
        obs = np.concatenate([np.zeros((1, 2)), np.eye(4)[2:3]], axis=1).astype(np.float32)
        for _ in range(10):
            agent.replay_buffer.add(obs, obs, np.zeros((1, 2)), np.zeros(1), np.zeros(1), [{}])
        assert agent.task_of(torch.from_numpy(obs)).tolist() == [2]
        agent.train(3, 8)
    moved = agent.log_temperatures.detach() != 0.0
    assert moved.tolist() == [False, False, True, False]


def test_what_is_carried_stays_and_practice_is_counted(sources: Sources) -> None:
    method = MultitaskSAC(steps=120, training=QUICK, repeats=2)
    carried = method.pretrain(sources)
    weights = {name: x.clone() for name, x in carried.agent.policy.state_dict().items()}
    obs = sources.model.pool.obs[:20]
    without_practice = method.solve(carried, NEAR)
    assert (without_practice.costs.steps, without_practice.costs.labels) == (120, 5 * 500)
    same = [
        torch.equal(without_practice.acts(obs), method.solve(carried, task).acts(obs)) for task in CORNERS
    ]  # type: ignore[operator]
    assert same == [False, False, True, False], "the nearest corner's"

    practising = replace(carried, sources=replace(sources, practice=2))
    practised = method.solve(practising, NEAR)
    steps = practised.costs.steps - 120
    assert 2 <= steps <= 2 * sources.model.environment.spec.episode_steps
    assert not torch.equal(practised.acts(obs), without_practice.acts(obs))  # type: ignore[operator]
    assert all(torch.equal(x, weights[name]) for name, x in carried.agent.policy.state_dict().items())


def test_it_needs_source_tasks(sources: Sources) -> None:
    with pytest.raises(UserError, match="at least one source task"):
        MultitaskSAC().pretrain(replace(sources, tasks=()))


@pytest.mark.slow
@pytest.mark.parametrize("context", ["one_hot", "metadata", "label_vector"])
def test_it_goes_to_each_corner_and_to_what_lies_near_one(sources: Sources, context: str) -> None:
    method = MultitaskSAC(steps=2500, context=context, training=QUICK)
    carried = method.pretrain(sources)
    found = [arrived(sources.model, method.solve(carried, task), task) for task in (*CORNERS, NEAR)]
    assert np.mean(found) >= 0.8, found
