"""Normalisation of observations and of their changes."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from world_models.layout import Layout


class Normalizer(nn.Module):
    """Centre and scale of each observation column, and the scale of its change in one control step.

    Columns with known limits are scaled by them; the others by their mean and spread in the data. A change
    is scaled by its root mean square over the samples in which the column moves: most fixtures rest most
    of the time, and a scale that counts their rest would blow up every real movement.
    """

    centre: Tensor
    scale: Tensor
    change: Tensor

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        low, high = torch.tensor(layout.low), torch.tensor(layout.high)
        self.register_buffer("centre", (low + high) / 2)
        self.register_buffer("scale", (high - low) / 2)
        self.register_buffer("change", 0.05 * (high - low))
        self._limited = torch.tensor(layout.limited)

    @torch.no_grad()
    def fit(self, obs: Float[Tensor, "B O"], next_obs: Float[Tensor, "B O"]) -> None:
        """Learn the scales from transitions."""
        free = ~self._limited.to(obs.device)
        spread = torch.maximum(obs.std(dim=0), 0.01 * self.scale)
        self.centre.copy_(torch.where(free, obs.mean(dim=0), self.centre))
        self.scale.copy_(torch.where(free, spread, self.scale))
        self.change.copy_(torch.maximum(moving_scale(obs, next_obs), 0.02 * self.scale))


def moving_scale(obs: Float[Tensor, "B O"], next_obs: Float[Tensor, "B O"]) -> Float[Tensor, " O"]:
    """Root mean square of each column's change over the transitions in which it moves."""
    moves = moved(obs, next_obs)
    return (((next_obs - obs).square() * moves).sum(dim=0) / moves.sum(dim=0).clamp(min=1)).sqrt()


def moved(obs: Float[Tensor, "B O"], next_obs: Float[Tensor, "B O"]) -> Bool[Tensor, "B O"]:
    """Which columns move in which transitions: by a tenth of the spread of their change, or more."""
    change = next_obs - obs
    return change.abs() > (0.1 * change.std(dim=0)).clamp(min=1e-5)
