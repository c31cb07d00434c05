"""The temperature of the actor-critic in imagination."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mbtransfer.errors import UserError
from mbtransfer.model import Model
from mbtransfer.mpc.agent import action_bounds
from mbtransfer.mpc.task_policy import Actor, Critic, GaussianActor
from mbtransfer.training.policy import PolicyTrainingConfig, load_prepared, prepare
from mbtransfer.training.policy.actor_critic import Trainer
from planners.base import Bounds


class Line:
    """A point on a line that stays where it is: every step is a new choice."""

    particles = 1

    def step(self, obs: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        return obs + 0.0 * action


def best(obs: torch.Tensor, action: torch.Tensor, ahead: torch.Tensor) -> torch.Tensor:
    """One for the action 0.5, less for others."""
    return 1.0 - (action[..., 0] - 0.5).square()


def trained(temperature: float, updates: int = 150) -> Trainer:
    starts = torch.randn(50, 1, generator=torch.Generator().manual_seed(0))
    bounds, config = Bounds(-torch.ones(1), torch.ones(1)), PolicyTrainingConfig(
        horizon=1, rows=64, discount=0.1, actor_rate=3e-3, temperature=temperature
    )  # fmt: skip
    trainer = Trainer(Line(), best, (0.0, 1.0), starts, bounds, config, 0)
    for _ in range(updates):
        trainer.update()
    return trainer


def test_the_density_is_that_of_a_squashed_normal() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        actor, obs, noise = GaussianActor(3, 2), torch.randn(50, 3), torch.randn(50, 2)
    action, surer = actor.sample(obs, noise)
    mean, log_scale = actor.read(obs).chunk(2, dim=-1)
    squashed = torch.distributions.TransformedDistribution(
        torch.distributions.Normal(mean, log_scale.clamp(-5, 1).exp()),
        [torch.distributions.TanhTransform(cache_size=1)],
    )
    density = squashed.log_prob(action).mean(dim=1)
    torch.testing.assert_close(surer, density + torch.log(torch.tensor(2.0)), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(actor(obs), torch.tanh(mean))


def test_the_policy_is_as_wide_as_the_temperature_says() -> None:
    noise = torch.randn(2000, 1, generator=torch.Generator().manual_seed(1))
    drawn = {}
    for temperature in (0.01, 0.1):
        actor = trained(temperature).actor
        assert isinstance(actor, GaussianActor)
        drawn[temperature] = actor.sample(torch.zeros(2000, 1), noise)[0].detach()
    # the best density is exp(reward / temperature), here a normal one of variance temperature / 2
    assert abs(float(drawn[0.01].std()) - 0.005**0.5) < 0.03
    assert abs(float(drawn[0.01].mean()) - 0.5) < 0.05
    assert float(drawn[0.1].std()) > 2 * float(drawn[0.01].std())


def test_without_temperature_the_policy_is_deterministic() -> None:
    assert type(trained(0.0, 1).actor) is Actor


def test_a_temperature_needs_a_stochastic_policy() -> None:
    bounds = Bounds(-torch.ones(1), torch.ones(1))
    with pytest.raises(UserError, match="this policy is deterministic"):
        Trainer(
            Line(), best, (0.0, 1.0), torch.zeros(5, 1), bounds, PolicyTrainingConfig(temperature=0.1), 0,
            None, (Actor(1, 1), Critic(1)),
        )  # fmt: skip


def test_a_stochastic_policy_is_read_back(drifting: Callable[..., Model], tmp_path: Path) -> None:
    model, config = drifting(), PolicyTrainingConfig(horizon=2, rows=4, temperature=0.1)
    task = model.environment.task("drawer_half")
    prepared = prepare(model, task, 1e9, updates=2, labels=100, config=config)
    prepared.save(tmp_path)
    bounds, obs = action_bounds(model.environment.spec), model.pool.obs[:5]
    found = load_prepared(tmp_path, task.name, model.digest, bounds)
    assert found is not None and isinstance(found.actor, GaussianActor)
    assert torch.equal(found.policy(obs), prepared.policy(obs))
