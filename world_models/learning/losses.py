"""What a prediction is judged by, in normalised changes."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import huber_loss

from world_models.ensemble import Gaussian

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
