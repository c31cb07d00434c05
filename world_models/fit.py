"""Training: all members in one step, data resident, the best epoch by held-out error kept."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.ensemble import EnsembleDynamics, Gaussian


@dataclass(frozen=True)
class FitConfig:
    """How the ensemble is trained."""

    epochs: int = 20
    """Passes over the data."""
    batch: int = 256
    """Transitions per member and step."""
    learning_rate: float = 3e-3
    """Highest rate of the one-cycle schedule."""
    loss: str = "huber"
    """huber, mse, or nll for gaussian heads."""


@dataclass(frozen=True)
class Transitions:
    obs: Float[Tensor, "B O"]
    actions: Float[Tensor, "B A"]
    next_obs: Float[Tensor, "B O"]


def prediction_loss(predicted: Gaussian, target: Float[Tensor, "E B O"], loss: str) -> Tensor:
    """Mean loss of each member [E] on normalised changes."""
    if loss == "nll":
        error = (predicted.mean - target).square() * (-predicted.logvar).exp() + predicted.logvar
    elif loss == "mse":
        error = (predicted.mean - target).square()
    else:
        error = torch.nn.functional.huber_loss(predicted.mean, target, reduction="none")
    return error.mean(dim=(1, 2))


def fit(dynamics: EnsembleDynamics, train: Transitions, valid: Transitions, config: FitConfig, seed: int) -> Iterator[dict]:
    dynamics.normalizer.fit(train.obs, train.next_obs)
    members, n = dynamics.config.members, len(train.obs)
    generator = torch.Generator().manual_seed(seed)
    target = (train.next_obs - train.obs) / dynamics.normalizer.change
    steps = n // config.batch
    optimiser = torch.optim.Adam(dynamics.parameters(), lr=config.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, total_steps=steps * config.epochs)
    for epoch in range(config.epochs):
        order = torch.stack([torch.randperm(n, generator=generator) for _ in range(members)])
        total = 0.0
        for i in range(steps):
            rows = order[:, i * config.batch : (i + 1) * config.batch]
            loss = prediction_loss(dynamics(train.obs[rows], train.actions[rows]), target[rows], config.loss)
            optimiser.zero_grad(set_to_none=True)
            loss.sum().backward()
            optimiser.step()
            schedule.step()
            total += float(loss.detach().mean())
        with torch.no_grad():
            t = ((valid.next_obs - valid.obs) / dynamics.normalizer.change).expand(members, -1, -1)
            v = prediction_loss(dynamics(valid.obs.expand(members, -1, -1), valid.actions.expand(members, -1, -1)), t, config.loss)
        yield dict(epoch=epoch, train=total / steps, valid=v.tolist())
