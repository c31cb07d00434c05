"""What the members together expect along stretches of episodes, and how far apart they are."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.calibration.uncertainty import disagreement
from world_models.ensemble import EnsembleDynamics
from world_models.imagine import Imagination
from world_models.transitions import Segments

CHUNK = 1024
"""Stretches followed at once: what bounds memory, not results."""

DRAWS = 4
"""Particles per member where the head is Gaussian: the spread of one draw each would be mostly noise."""


@dataclass(frozen=True, eq=False)
class Forecast:
    """Open-loop predictions after 1 to H steps for R stretches, beside what happened.

    Attributes:
        mean: mean of the particles, in the columns' units.
        spread: their standard deviation, in the same units.
        truth: what happened.
        start: where each stretch began.
        disagreement: see `world_models.calibration.uncertainty.disagreement`.
        change: scale of each column's change in one control step.
    """

    mean: Float[Tensor, "H R O"]
    spread: Float[Tensor, "H R O"]
    truth: Float[Tensor, "H R O"]
    start: Float[Tensor, "R O"]
    disagreement: Float[Tensor, "H R"]
    change: Float[Tensor, " O"]

    @property
    def error(self) -> Float[Tensor, "H R"]:
        """Root mean square over columns of the mean's error, in units of their scale of change."""
        return ((self.truth - self.mean) / self.change).square().mean(dim=-1).sqrt()


@torch.no_grad()
def forecast(dynamics: EnsembleDynamics, segments: Segments, seed: int = 0) -> Forecast:
    """Follow every stretch with one particle per elite member (four with Gaussian heads).

    Each particle stays with its member (TSinf; Chua et al. 2018, PETS, section 5.1). `seed` is for the noise
    of Gaussian heads.
    """
    draws = DRAWS if dynamics.config.head == "gaussian" else 1
    follow = Imagination(dynamics, particles=draws * len(dynamics.elites))
    device = dynamics.normalizer.change.device
    generator = torch.Generator(device).manual_seed(seed)
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    for first in range(0, len(segments), CHUNK):
        obs, actions = segments.obs[first : first + CHUNK, 0], segments.actions[first : first + CHUNK]
        imagined = follow(obs.to(device), actions.to(device), generator)
        paths = imagined.particles[1:]
        middle = paths.mean(dim=1)
        spread = (paths - middle[:, None]).square().mean(dim=1).sqrt()
        parts.append((middle, spread, disagreement(imagined)))
    mean, spreads, apart = (torch.cat(part, dim=1) for part in zip(*parts, strict=True))
    obs = segments.obs.to(device)
    return Forecast(mean, spreads, obs[:, 1:].transpose(0, 1), obs[:, 0], apart, dynamics.normalizer.change)
