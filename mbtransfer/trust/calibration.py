"""How far a fitted model can be trusted, measured on held-out episodes and kept with the model."""

from typing import Any

import torch
from jaxtyping import Float
from scipy.stats import spearmanr
from torch import Tensor

from mbtransfer.dataset import Pool
from mbtransfer.trust.held_out import HORIZON, halves, stretches
from mbtransfer.trust.reliability import reliability
from world_models.calibration import intervals, uncertainty
from world_models.calibration.forecast import forecast
from world_models.calibration.intervals import Intervals
from world_models.calibration.rollout import resting_error, rollout_error
from world_models.calibration.uncertainty import DisagreementScale
from world_models.ensemble import EnsembleDynamics
from world_models.transitions import Segments, Transitions

ROWS = 5000
BINS = 20

TESTED = "interval_coverage"
"""Name under which the reliability of a model's intervals is kept among its notes."""


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


def recalibrate(dynamics: EnsembleDynamics, held_out: Pool, seed: int = 0) -> dict[str, Any]:
    """Intervals and the scale of disagreement from one half of the held-out episodes, tested on the other.

    Returns:
        For a model's notes: what `Intervals.of` and `DisagreementScale.of` read, and the `reliability` of the
        intervals, None where a single episode was held out and none is left to test on.

    Raises:
        UserError: the held-out episodes have no control steps.
    """
    calibration, test = halves(held_out)
    made, scale = fit_intervals(dynamics, calibration, seed)
    tested = None
    if test is not None:
        tested = reliability(forecast(dynamics, stretches(test, seed), seed), made, dynamics.layout)
    return {intervals.NOTE: made.to_json(), uncertainty.NOTE: scale.to_json(), TESTED: tested}


def fit_intervals(
    dynamics: EnsembleDynamics, calibration: Pool, seed: int = 0, horizon: int = HORIZON
) -> tuple[Intervals, DisagreementScale]:
    """Both from forecasts on episodes that neither training nor a later test has seen.

    Raises:
        UserError: the episodes have no control steps.
    """
    seen = forecast(dynamics, stretches(calibration, seed, horizon), seed)
    return Intervals.fit(seen, dynamics.layout), DisagreementScale.fit(seen.disagreement)


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
