"""Open-loop forecasts of held-out segments, and their errors by horizon."""

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.dynamics.rollout import Imagination
from world_models.transitions import Segments
from world_models.uncertainty.disagreement import disagreement

CHUNK = 1024
"""Stretches followed at once: what bounds memory, not results."""


def rollout_error(dynamics: EnsembleDynamics, segments: Segments, seed: int = 0) -> Float[Tensor, "E H"]:
    """Root mean square error of each member alone after 1 to H steps, fed with its own predictions.

    Over stretches and columns, in units of each column's scale of change. All members are followed, elites
    or not. `seed` is for the noise of gaussian heads.
    """
    elites, members = dynamics.elites, dynamics.config.members
    dynamics.elites = torch.arange(members, device=elites.device)
    try:
        follow = Imagination(dynamics, particles=members)
    finally:
        dynamics.elites = elites
    generator = torch.Generator(elites.device).manual_seed(seed)
    change = dynamics.normalizer.change
    total = change.new_zeros(members, segments.horizon)
    for start in range(0, len(segments), CHUNK):
        obs, actions = (part[start : start + CHUNK].to(change.device) for part in vars(segments).values())
        path = follow(obs[:, 0], actions, generator).particles[1:]
        total += _squares(path - rearrange(obs[:, 1:], "b h o -> h 1 b o"), change).T
    return (total / len(segments)).sqrt()


def resting_error(dynamics: EnsembleDynamics, segments: Segments) -> Float[Tensor, " H"]:
    """The same for the naive forecast that nothing moves."""
    change = dynamics.normalizer.change
    obs = rearrange(segments.obs.to(change.device), "b h o -> h b o")
    return (_squares(obs[:1] - obs[1:], change) / len(segments)).sqrt()


def relative_error(dynamics: EnsembleDynamics, segments: Segments, seed: int = 0) -> Float[Tensor, " E"]:
    """Each member's error at the horizon, as a share of the naive forecast's."""
    naive = resting_error(dynamics, segments)[-1].clamp(min=1e-6)
    return rollout_error(dynamics, segments, seed)[:, -1] / naive


def _squares(error: Float[Tensor, "*h R O"], change: Float[Tensor, " O"]) -> Float[Tensor, "*h"]:
    """Summed over rows, averaged over columns."""
    return (error / change).square().mean(dim=-1).sum(dim=-1)


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
        disagreement: see `world_models.uncertainty.disagreement.disagreement`.
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
    return Forecast(
        mean, spreads, rearrange(obs[:, 1:], "b h o -> h b o"), obs[:, 0], apart, dynamics.normalizer.change
    )
