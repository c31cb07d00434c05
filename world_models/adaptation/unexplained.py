"""How much of what moved a model leaves unexplained: the error by which adaptation and forgetting are told."""

from collections.abc import Sequence

import torch

from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.transitions import Transitions, check_sizes

CHUNK = 4096
"""Transitions predicted at once."""

RESTING = 1e-3
"""Root mean square of its change, as a share of its scale, below which a column counts as one that never moved: a
locked joint still creeps a little."""


@torch.no_grad()
def unexplained(dynamics: EnsembleDynamics, data: Transitions, columns: Sequence[int]) -> float:
    """Share of the movement of some columns that the mean of the ensemble leaves unexplained, mean over columns.

    Squared errors over squared changes, so that "nothing moves" has 1; columns that never move do not count, and
    without any that does the answer is NaN.

    Raises:
        ModelError: transitions of another world, or none.
    """
    check_sizes(data, dynamics.layout)
    columns, device = list(columns), dynamics.unit.device
    members, missed = dynamics.config.members, torch.zeros(len(columns))
    moved = missed.clone()
    for start in range(0, len(data), CHUNK):
        part = data[slice(start, start + CHUNK)].to(device)
        mean = dynamics(*(x.expand(members, -1, -1) for x in (part.obs, part.actions))).mean
        change = (part.next_obs - part.obs)[:, columns]
        expected = (mean.mean(dim=0) * dynamics.normalizer.change)[:, columns]
        missed += (expected - change).square().sum(dim=0).cpu()
        moved += change.square().sum(dim=0).cpu()
    still = RESTING * dynamics.normalizer.scale[columns].cpu()
    return float((missed / moved)[moved > len(data) * still.square()].mean())
