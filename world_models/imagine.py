"""Roll the ensemble forward: many plans, several particles each, in one batched program.

Chua et al. (2018), PETS, section 5.1: a particle stays with one member (`tsinf`), changes it at every step
(`ts1`), or all follow the members' mean (`mean`).
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.ensemble import EnsembleDynamics, _bounded, run_blocks
from world_models.errors import ModelError

Propagation = Literal["tsinf", "ts1", "mean"]


@dataclass(frozen=True)
class Imagined:
    """What the model expects of R plans.

    Attributes:
        obs: the imagined observations, the given one first.
        particles: the same before averaging, where `mean` averages over the members.
        change: scale of each column's change in one control step.
    """

    obs: Float[Tensor, "points Q R O"]
    particles: Float[Tensor, "points P R O"]
    change: Float[Tensor, " O"]

    def disagreement(self) -> Float[Tensor, "H R O"]:
        """Spread of the particles' observations, in units of each column's scale of change."""
        return self.particles[1:].std(dim=1, unbiased=False) / self.change


class Imagination:
    """An ensemble made ready to roll out: the particles' members gathered once, buffers without gradients.

    Args:
        dynamics: the fitted ensemble.
        particles: P; particle p follows elite member p, round and round.
        propagation: how particles choose members.

    Raises:
        ModelError: no particles, or an unknown propagation.
    """

    def __init__(
        self, dynamics: EnsembleDynamics, particles: int = 3, propagation: Propagation = "tsinf"
    ) -> None:
        if particles < 1 or propagation not in get_args(Propagation):
            raise ModelError(f"cannot imagine with {particles} particles and propagation {propagation!r}")
        elites = dynamics.elites.tolist()
        chosen = elites if propagation == "mean" else [elites[p % len(elites)] for p in range(particles)]
        self.particles, self._mean = len(chosen), propagation == "mean"
        self._shuffle = propagation == "ts1" and particles > 1
        self._dynamics = dynamics
        blocks, out = dynamics.blocks, dynamics.outputs
        rows = torch.cat([torch.arange(blocks) + e * blocks for e in chosen]).to(dynamics.moves.device)
        self._weights = [weight.detach()[rows].contiguous() for weight in dynamics.weights]
        self._biases = [bias.detach()[rows].contiguous() for bias in dynamics.biases]
        self._noisy = dynamics.config.head == "gaussian"
        self._moves = dynamics.moves.detach().T.expand(self.particles, -1, -1).contiguous()
        self._reads, self._scales = dynamics._reads.flatten(), dynamics.scales()
        self._out = out
        limited = torch.tensor(dynamics.layout.limited)
        inf = torch.full((len(limited),), torch.inf)
        self._low = torch.where(limited, torch.tensor(dynamics.layout.low), -inf)[:, None].to(rows.device)
        self._high = torch.where(limited, torch.tensor(dynamics.layout.high), inf)[:, None].to(rows.device)

    @torch.no_grad()
    def __call__(
        self,
        obs: Float[Tensor, "R O"],
        actions: Float[Tensor, "R H A"],
        generator: torch.Generator | None = None,
    ) -> Imagined:
        """Follow R plans, each from its own observation."""
        rows, horizon, _ = actions.shape
        path = obs.new_empty(horizon + 1, self.particles, obs.shape[1], rows)
        path[0] = obs.T
        plans = actions.permute(1, 2, 0).contiguous()
        for t in range(horizon):
            self._step(path[t], plans[t], path[t + 1], generator)
        particles = path.transpose(-1, -2)
        obs_path = particles.mean(dim=1, keepdim=True) if self._mean else particles
        return Imagined(obs_path, particles, self._dynamics.normalizer.change)

    def _step(self, obs: Tensor, action: Tensor, out: Tensor, generator: torch.Generator | None) -> None:
        """One control step of every particle, written into `out`; all are [P, columns, R]."""
        if self._shuffle:
            order = torch.randperm(self.particles, generator=generator, device=obs.device)
            obs = obs[order]
        if self._mean:
            obs = obs.mean(dim=0, keepdim=True).expand_as(obs)
        action = action.expand(self.particles, -1, -1)
        features, gate = self._dynamics.features(obs, action, self._scales)
        raw = run_blocks(features.index_select(1, self._reads), self._weights, self._biases)
        raw = raw.unflatten(0, (self.particles, -1))
        mean = raw[:, :, : self._out]
        if self._noisy:
            deviation = (_bounded(raw[:, :, self._out :]) / 2).exp()
            mean = mean + deviation * torch.randn(mean.shape, generator=generator, device=mean.device)
        torch.baddbmm(obs, self._moves, (mean * gate).flatten(1, 2), out=out)
        torch.clamp(out, self._low, self._high, out=out)
