"""The loss of a model along its own predictions; along one step, the usual loss."""

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.ensemble import EnsembleDynamics, Gaussian
from world_models.layout import Layout
from world_models.learning.losses import LIKELIHOODS, Loss, prediction_loss
from world_models.learning.share import Share
from world_models.learning.source import Batch


class UnrolledLoss:
    """Mean loss of each member over the steps of a batch, each fed with its own prediction of the step before.

    Gradients flow through the whole roll-out, as in the multi-step losses of Abbeel and Ng (2004, learning
    first-order Markov models for control). A prediction is clamped to the joints' limits as in imagination;
    where the data go on with another episode, so does the roll-out, from what was seen. The variance of a
    gaussian head is learned from first steps alone: later errors are the model's own.
    """

    def __init__(
        self, dynamics: EnsembleDynamics | Share, loss: Loss = "huber", dtype: torch.dtype = torch.float32
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
            obs = step.obs if step.follows is None else torch.where(step.follows, ahead, step.obs)
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
