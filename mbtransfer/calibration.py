"""How far a fitted model can be trusted, measured on held-out episodes and kept with the model."""

from typing import Any

import torch
from jaxtyping import Float
from scipy.stats import spearmanr
from torch import Tensor

from world_models.ensemble import EnsembleDynamics
from world_models.rollout import resting_error, rollout_error
from world_models.transitions import Segments, Transitions

ROWS = 5000
BINS = 20


def calibrate(dynamics: EnsembleDynamics, segments: Segments, held_out: Transitions) -> dict[str, Any]:
    """Error by horizon beside the forecast that nothing moves; disagreement beside error; its percentiles."""
    model = rollout_error(dynamics, segments).mean(dim=0)
    steps = list(range(1, segments.horizon + 1))
    some = held_out[slice(0, None, max(1, len(held_out) // ROWS))]
    spread, error = disagreement_and_error(dynamics, some)
    quantiles = torch.quantile(spread, torch.linspace(0, 1, 101, device=spread.device))
    return {
        "horizon_error": {
            "horizon": steps, "model": model.tolist(), "naive": resting_error(dynamics, segments).tolist(),
        },
        "disagreement": _binned(spread, error),
        "disagreement_percentiles": quantiles.tolist(),
    }  # fmt: skip


@torch.no_grad()
def disagreement_and_error(
    dynamics: EnsembleDynamics, data: Transitions
) -> tuple[Float[Tensor, " B"], Float[Tensor, " B"]]:
    """Spread of the members' predictions and error of their mean, root mean square of normalised changes."""
    members = dynamics.config.members
    predicted = dynamics(data.obs.expand(members, -1, -1), data.actions.expand(members, -1, -1)).mean
    target = (data.next_obs - data.obs) / dynamics.normalizer.change
    spread = predicted.var(dim=0, unbiased=False).mean(dim=-1).sqrt()
    return spread, (predicted.mean(dim=0) - target).square().mean(dim=-1).sqrt()


def _binned(spread: Tensor, error: Tensor) -> dict[str, Any]:
    """Means of both in bins of equal counts, and their rank correlation."""
    order = spread.argsort()
    bins = [part for part in order.tensor_split(BINS) if len(part)]
    varied = len(order) > 2 and min(float(spread.std()), float(error.std())) > 0  # a constant has no ranks
    rank = float(spearmanr(spread.cpu(), error.cpu()).statistic) if varied else 0.0
    return {
        "disagreement": [float(spread[part].mean()) for part in bins],
        "error": [float(error[part].mean()) for part in bins],
        "spearman": rank,
    }
