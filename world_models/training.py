"""The steps of training, for a first fit and for fine-tuning alike: losses, rates, updates."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import huber_loss

from world_models.ensemble import EnsembleDynamics, Gaussian
from world_models.transitions import Transitions

Loss = Literal["huber", "mse", "nll"]

CHUNK = 512
"""Rows judged at once: few enough to stay in the cache of a core, which makes it twice as fast as 4096."""


class Rate(NamedTuple):
    """Adam's step size and first-moment decay for one step."""

    learning_rate: float
    momentum: float = 0.9


Schedule = Callable[[int], Rate | None]
"""The rate of step i; None ends training before that step."""


@dataclass(frozen=True)
class OneCycle:
    """Rate up and down again along cosines, momentum the other way (Smith and Topin 2018, super-convergence).

    The same curve as `torch.optim.lr_scheduler.OneCycleLR` with its defaults, but as a function of how much
    of the training is over, so that it needs no state and can follow the clock.
    """

    peak: float
    rise: float = 0.3

    def __call__(self, progress: float) -> Rate:
        """The rate when `progress` of the training, from 0 to 1, is over."""
        if progress < self.rise:
            up = _cosine(progress / self.rise)
            return Rate(self.peak * (0.04 + 0.96 * up), 0.95 - 0.1 * up)
        down = _cosine(min((progress - self.rise) / (1 - self.rise), 1.0))
        return Rate(self.peak * (1 - down * (1 - 4e-6)), 0.85 + 0.1 * down)


def _cosine(fraction: float) -> float:
    return (1 - math.cos(math.pi * fraction)) / 2


def prediction_loss(
    predicted: Gaussian, target: Float[Tensor, "E B O"], loss: Loss, gaussian: bool = False
) -> Float[Tensor, " E"]:
    """Mean loss of each member on normalised changes.

    `nll` is the negative log-likelihood, up to constants (PETS, Chua et al. 2018, section 4). With `huber`
    and `mse`, a gaussian head learns its mean as a deterministic one does, and its variance from what the
    mean leaves unexplained, without a say in the mean (Stirn et al. 2023, faithful heteroscedastic
    regression).
    """
    if loss == "nll":
        return _surprise(predicted, target).mean(dim=(1, 2))
    if loss == "huber":
        error = huber_loss(predicted.mean, target, reduction="none")
    else:
        error = (predicted.mean - target).square()
    if gaussian:
        error = error + _surprise(Gaussian(predicted.mean.detach(), predicted.logvar), target)
    return error.mean(dim=(1, 2))


def _surprise(predicted: Gaussian, target: Tensor) -> Tensor:
    return ((predicted.mean - target).square() * (-predicted.logvar).exp() + predicted.logvar) / 2


def make_optimiser(dynamics: EnsembleDynamics) -> torch.optim.Adam:
    """Adam on all members at once; `train_steps` sets its rate."""
    return torch.optim.Adam(dynamics.parameters(), fused=True)


def train_steps(
    dynamics: EnsembleDynamics,
    optimiser: torch.optim.Optimizer,
    data: Transitions,
    rows: Int[Tensor, "E N"],
    schedule: Schedule,
    *,
    batch: int = 256,
    loss: Loss = "huber",
) -> Float[Tensor, " E"]:
    """N // batch updates, each member on its own rows; the scales of the model stay as they are.

    Args:
        dynamics: trained in place.
        optimiser: from `make_optimiser`; keeps its moments from call to call.
        data: on the device of the model.
        rows: which transitions each member sees, in order; see `rows.draw_rows`.
        schedule: the rate of each step of this call.
        batch: transitions per member and step.
        loss: see `prediction_loss`.

    Returns:
        The mean loss of each member over the steps done, still on the device: nothing waits for it.
        Zero where `schedule` ended training at once.
    """
    change, gaussian = dynamics.normalizer.change, dynamics.config.head == "gaussian"
    total, steps, rows = change.new_zeros(len(rows)), 0, rows.to(change.device)
    for step in range(rows.shape[1] // batch):
        rate = schedule(step)
        if rate is None:
            break
        _set_rate(optimiser, rate)
        picked = rows[:, step * batch : (step + 1) * batch]
        obs = data.obs[picked]
        target = (data.next_obs[picked] - obs) / change
        each = prediction_loss(dynamics(obs, data.actions[picked]), target, loss, gaussian)
        optimiser.zero_grad(set_to_none=True)
        each.sum().backward()
        optimiser.step()
        total, steps = total + each.detach(), steps + 1
    return total / max(steps, 1)


def _set_rate(optimiser: torch.optim.Optimizer, rate: Rate) -> None:
    for group in optimiser.param_groups:
        group["lr"], group["betas"] = rate.learning_rate, (rate.momentum, group["betas"][1])


@torch.no_grad()
def held_out_loss(dynamics: EnsembleDynamics, data: Transitions, loss: Loss) -> Float[Tensor, " E"]:
    """Mean loss of each member on the same transitions, without learning from them."""
    members, gaussian = dynamics.config.members, dynamics.config.head == "gaussian"
    total = dynamics.normalizer.change.new_zeros(members)
    for start in range(0, len(data), CHUNK):
        part = slice(start, start + CHUNK)
        columns = (data.obs, data.actions, data.next_obs)
        obs, actions, next_obs = (x[part].expand(members, -1, -1) for x in columns)
        target = (next_obs - obs) / dynamics.normalizer.change
        total += prediction_loss(dynamics(obs, actions), target, loss, gaussian) * obs.shape[1]
    return total / len(data)
