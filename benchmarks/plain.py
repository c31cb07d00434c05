"""The ensemble as most code bases write it: one network per member, called in a Python loop.

It has the same number of weights as the block-wise ensemble, reads the same features, and is rolled out by
the same rule (every particle follows one member). What differs is how it is computed.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from world_models.dynamics.ensemble import EnsembleDynamics


class PlainEnsemble:
    """A list of ordinary networks, two hidden layers each.

    Args:
        dynamics: gives features, limits and scales, and the number of weights to match.
        particles: how many futures are followed; particle p follows member p.
        seed: of the weights.
    """

    def __init__(self, dynamics: EnsembleDynamics, particles: int, seed: int = 0) -> None:
        self._dynamics = dynamics
        inputs, outputs = dynamics.layout.obs_size + dynamics.layout.action_size, dynamics.layout.obs_size
        inputs += 4 * len(dynamics.layout.objects) + 2 * sum(dynamics.layout.limited)
        per_member = sum(p.numel() for p in dynamics.parameters()) // dynamics.config.members
        self.width = _width(inputs, outputs, per_member)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.members = [_network(inputs, self.width, outputs) for _ in range(particles)]
        limited = torch.tensor(dynamics.layout.limited)
        self._low = torch.where(limited, torch.tensor(dynamics.layout.low), -torch.inf)
        self._high = torch.where(limited, torch.tensor(dynamics.layout.high), torch.inf)

    @torch.no_grad()
    def __call__(self, obs: Float[Tensor, "R O"], actions: Float[Tensor, "R H A"]) -> list[list[Tensor]]:
        """The observations [R, O] after each step, member by member."""
        paths = []
        for network in self.members:
            now, path = obs, []
            for t in range(actions.shape[1]):
                now = self._step(network, now, actions[:, t])
                path.append(now)
            paths.append(path)
        return paths

    def _step(self, network: nn.Module, obs: Tensor, action: Tensor) -> Tensor:
        features, _ = self._dynamics.features(obs.T[None], action.T[None])
        change: Tensor = network(features[0, :-2].T) * self._dynamics.normalizer.change
        return torch.maximum(torch.minimum(obs + change, self._high), self._low)


def _width(inputs: int, outputs: int, weights: int) -> int:
    """Hidden width at which two hidden layers have about so many weights."""
    half = (inputs + outputs) / 2
    return round(math.sqrt(half**2 + weights) - half)


def _network(inputs: int, width: int, outputs: int) -> nn.Module:
    last = nn.Linear(width, outputs)
    nn.init.normal_(last.weight, std=0.1 / width**0.5)
    return nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), last)
