"""How far open-loop predictions stray over a planning horizon, member by member."""

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.ensemble import EnsembleDynamics
from world_models.imagine import Imagination
from world_models.transitions import Segments

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
        total += _squares(path - obs[:, 1:].transpose(0, 1)[:, None], change).T
    return (total / len(segments)).sqrt()


def resting_error(dynamics: EnsembleDynamics, segments: Segments) -> Float[Tensor, " H"]:
    """The same for the naive forecast that nothing moves."""
    change = dynamics.normalizer.change
    obs = segments.obs.to(change.device).transpose(0, 1)
    return (_squares(obs[:1] - obs[1:], change) / len(segments)).sqrt()


def relative_error(dynamics: EnsembleDynamics, segments: Segments, seed: int = 0) -> Float[Tensor, " E"]:
    """Each member's error at the horizon, as a share of the naive forecast's."""
    naive = resting_error(dynamics, segments)[-1].clamp(min=1e-6)
    return rollout_error(dynamics, segments, seed)[:, -1] / naive


def _squares(error: Float[Tensor, "*h R O"], change: Float[Tensor, " O"]) -> Float[Tensor, "*h"]:
    """Summed over rows, averaged over columns."""
    return (error / change).square().mean(dim=-1).sum(dim=-1)
