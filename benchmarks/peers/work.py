"""The work that all planners share: one network, one reward, one start, one number of model steps."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.peers.ensemble import folded_layers, plain_network, random_ensemble


@dataclass(frozen=True)
class Sizes:
    """How much work one decision is: the network of PETS on the half-cheetah, a search of usual size."""

    obs: int = 17
    action: int = 6
    members: int = 5
    hidden: int = 200
    layers: int = 4
    candidates: int = 500
    horizon: int = 15
    iterations: int = 5
    elites: int = 50

    @property
    def particles(self) -> int:
        """Futures of each candidate: one for each member."""
        return self.members

    @property
    def model_steps(self) -> int:
        """Observations that a decision predicts, each by one member."""
        return self.candidates * self.horizon * self.iterations * self.particles


class Work:
    """An ensemble with random weights, and the task of bringing every column to zero.

    Attributes:
        dynamics: the ensemble.
        layers: the same as plain layers, see `folded_layers`.
        start: the observation that decisions are made from; actions lie within -1 and 1.
        judged: rows that `reward` was given so far. A planner has every step that it imagines judged, so this
            counts the model steps of all by one rule.
    """

    def __init__(self, sizes: Sizes | None = None, seed: int = 0) -> None:
        self.sizes = sizes = sizes or Sizes()
        generator = torch.Generator().manual_seed(seed)
        self.dynamics = random_ensemble(
            sizes.obs, sizes.action, sizes.members, sizes.hidden, sizes.layers, generator
        )
        self.layers = folded_layers(self.dynamics)
        self._members = [plain_network(self.layers, member) for member in range(sizes.members)]
        self.start = torch.randn(sizes.obs, generator=generator)
        self.judged = 0

    def reward(
        self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b O"]
    ) -> Float[Tensor, "*b"]:
        """Highest where all columns are zero; actions cost a little."""
        reward = -next_obs.square().mean(dim=-1) - 0.01 * action.square().mean(dim=-1)
        self.judged += reward.numel()
        return reward

    @torch.no_grad()
    def predict(self, obs: Float[Tensor, "B O"], action: Float[Tensor, "B A"]) -> Float[Tensor, "E B O"]:
        """The next observation by every member: a plain loop, which says what is right."""
        inputs = torch.cat([obs, action], dim=-1)
        return torch.stack([obs + network(inputs) for network in self._members])
