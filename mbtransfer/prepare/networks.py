"""The small networks of a prepared task: who acts, and what is still to come."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

WIDTH = 128


class Scaled(nn.Module):
    """Two hidden layers over scaled observations.

    Args:
        inputs: O.
        outputs: columns of the result.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(inputs))
        self.register_buffer("scale", torch.ones(inputs))
        self.layers = nn.Sequential(
            nn.Linear(inputs, WIDTH), nn.LayerNorm(WIDTH), nn.ReLU(),
            nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, outputs),
        )  # fmt: skip

    def look_at(self, obs: Float[Tensor, "N O"]) -> None:
        """Take the scales from what was seen."""
        self.centre.copy_(obs.mean(dim=0))
        self.scale.copy_(obs.std(dim=0).clamp(min=1e-3))

    def read(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b Y"]:
        """What the layers make of observations."""
        y: Tensor = self.layers(((obs - self.centre) / self.scale).clamp(-10.0, 10.0))
        return y


class Actor(Scaled):
    """A deterministic policy; actions from -1 to 1 of each column's range."""

    def forward(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b A"]:
        """What to do."""
        return torch.tanh(self.read(obs))


class Critic(nn.Module):
    """Two values of a state; where they differ, the lower one is believed (Fujimoto et al. 2018, TD3)."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.first, self.second = Scaled(inputs, 1), Scaled(inputs, 1)

    def look_at(self, obs: Float[Tensor, "N O"]) -> None:
        """Take the scales from what was seen."""
        self.first.look_at(obs)
        self.second.look_at(obs)

    def both(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "2 *b"]:
        """What each of the two says."""
        return torch.stack([self.first.read(obs)[..., 0], self.second.read(obs)[..., 0]])

    def forward(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b"]:
        """The lower of the two."""
        return self.both(obs).amin(dim=0)
