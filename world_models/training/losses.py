"""Losses: one-step likelihoods, and multi-step losses along predicted rollouts."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import huber_loss

from world_models.dynamics.ensemble import EnsembleDynamics, Gaussian
from world_models.layout import Layout
from world_models.training.batches import Batch
from world_models.training.distributed import MemberShard

Loss = Literal["huber", "mse", "nll", "beta_nll"]

LIKELIHOODS = ("nll", "beta_nll")
"""Losses that need a gaussian head."""

BETA = 0.5
"""Power of the variance by which `beta_nll` weighs: 0 is `nll`, 1 lets the mean learn as `mse` does."""

JUDGES: dict[Loss, Loss] = {"huber": "huber", "mse": "mse", "nll": "nll", "beta_nll": "nll"}
"""By what held-out data are judged: only the gradient of `beta_nll` means something, its value rises as a
model gets surer."""


def prediction_loss(
    predicted: Gaussian, target: Float[Tensor, "E B O"], loss: Loss, gaussian: bool = False
) -> Float[Tensor, " E"]:
    """Mean loss of each member on normalised changes.

    `nll` is the negative log-likelihood, up to constants (PETS, Chua et al. 2018, section 4). `beta_nll`
    weighs it by a power of the variance, so that what looks noisy at first is still learned (Seitzer et al.
    2022, on the pitfalls of heteroscedastic uncertainty estimation). With `huber` and `mse`, a `gaussian`
    head learns its mean as a deterministic one does, and its variance from what the mean leaves unexplained,
    without a say in the mean (Stirn et al. 2023, faithful heteroscedastic regression).
    """
    if loss == "nll":
        return _surprise(predicted, target).mean(dim=(1, 2))
    if loss == "beta_nll":
        weight = (BETA * predicted.logvar.detach()).exp()
        return (weight * _surprise(predicted, target)).mean(dim=(1, 2))
    if loss == "huber":
        error = huber_loss(predicted.mean, target, reduction="none")
    else:
        error = (predicted.mean - target).square()
    if gaussian:
        error = error + _surprise(Gaussian(predicted.mean.detach(), predicted.logvar), target)
    return error.mean(dim=(1, 2))


def _surprise(predicted: Gaussian, target: Tensor) -> Tensor:
    return ((predicted.mean - target).square() * (-predicted.logvar).exp() + predicted.logvar) / 2


class MultiStepLoss:
    """Mean loss of each member over the steps of a batch, each fed with its own prediction of the step before.

    Gradients flow through the whole roll-out, as in the multi-step losses of Abbeel and Ng (2004, learning
    first-order Markov models for control). A prediction is clamped to the joints' limits as in imagination;
    where the data go on with another episode, so does the roll-out, from what was seen. The variance of a
    gaussian head is learned from first steps alone: later errors are the model's own.
    """

    def __init__(
        self,
        dynamics: EnsembleDynamics | MemberShard,
        loss: Loss = "huber",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._dynamics, self._loss, self._dtype = dynamics, loss, dtype
        self._device = dynamics.normalizer.change.device
        self._low, self._high = limits(dynamics.layout, self._device)

    def __call__(self, batch: Batch) -> Float[Tensor, " E"]:
        """The loss, differentiable."""
        change, gaussian = self._dynamics.normalizer.change, self._dynamics.config.head == "gaussian"
        losses: list[Tensor] = []
        ahead = batch[0].obs
        for step in batch:
            obs = (
                step.obs
                if step.is_continuation is None
                else torch.where(step.is_continuation, ahead, step.obs)
            )
            predicted = self._predict(obs, step.actions)
            target = (step.next_obs - obs) / change
            losses.append(prediction_loss(predicted, target, self._loss, gaussian and not losses))
            if len(losses) < len(batch):
                ahead = (obs + predicted.mean * change).clamp(self._low, self._high)
        return losses[0] if len(losses) == 1 else torch.stack(losses).mean(dim=0)

    def _predict(self, obs: Tensor, actions: Tensor) -> Gaussian:
        apart = self._loss not in LIKELIHOODS
        with torch.autocast(self._device.type, self._dtype, enabled=self._dtype != torch.float32):
            mean, logvar = self._dynamics(obs, actions, apart)
        return Gaussian(mean.float(), logvar.float())


def limits(layout: Layout, device: torch.device) -> tuple[Float[Tensor, " O"], Float[Tensor, " O"]]:
    """Between which values each column stays: a limited joint within its range, others anywhere."""
    limited = torch.tensor(layout.limited)
    low = torch.where(limited, torch.tensor(layout.low), -torch.inf)
    high = torch.where(limited, torch.tensor(layout.high), torch.inf)
    return low.to(device), high.to(device)
