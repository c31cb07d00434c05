"""Calibration on held-out episodes: interval coverage, and disagreement against error."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from scipy.stats import norm, spearmanr
from torch import Tensor

from mbtransfer.data import Dataset, Pool
from mbtransfer.errors import UserError
from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.layout import Layout
from world_models.transitions import Segments, Transitions
from world_models.uncertainty import conformal as intervals
from world_models.uncertainty import disagreement as uncertainty
from world_models.uncertainty.conformal import Intervals, moving
from world_models.uncertainty.disagreement import DisagreementScale
from world_models.uncertainty.forecast import Forecast, forecast, resting_error, rollout_error

LEVEL = 0.9
"""Level of the interval in the tables: the share of values that it should contain."""

LEVELS = tuple(round(0.05 * k, 2) for k in range(1, 20))
"""Levels over which the calibration error is averaged."""

HalfWidth = Callable[[float], Tensor]
"""Maps a level to half the width of its interval, [H, R, O]."""


def reliability(forecast: Forecast, intervals: Intervals, layout: Layout) -> dict[str, Any]:
    """Coverage of the 90% interval, calibration error and width by horizon, before and after recalibration.

    Three groups of columns: `all`, `moving` (see `world_models.uncertainty.conformal.moving`) and, if the layout has
    objects, `moving_objects` (their positions and velocities). Columns at rest are predicted exactly, so that any
    interval contains them, which limits how well `all` can be calibrated. Before recalibration the members' spread is
    taken as the standard deviation of a normal distribution.

    Returns:
        `level`, `horizon` and per group `share` (of all entries) and `travel` (twice the 90% quantile of how far
        columns move from the start: the width of an interval without a model), then for `before` and `after`
        each `coverage`, `ece` and `width` (mean, in units of the columns' scale of change), all by horizon. `ece`
        is the mean over levels of the difference of nominal and true coverage (Kuleshov, Fenner and Ermon 2018).
        A group without entries has None.
    """
    widths: dict[str, HalfWidth] = {
        "before": lambda level: forecast.spread * float(norm.ppf((1 + level) / 2)),
        "after": lambda level: intervals.half_width(forecast.spread, level),
    }
    error = (forecast.truth - forecast.mean).abs()
    inside = {
        name: {level: error <= half(level) for level in (*LEVELS, LEVEL)} for name, half in widths.items()
    }
    wide = {name: 2 * half(LEVEL) / forecast.change for name, half in widths.items()}
    far = (forecast.truth - forecast.start).abs() / forecast.change
    found: dict[str, Any] = {"level": LEVEL, "horizon": list(range(1, len(error) + 1))}
    for name, mask in groups(forecast, layout):
        found[name] = {
            "share": mask.float().mean(dim=(1, 2)).tolist(),
            "travel": _by_step(mask, lambda rows, at: 2 * float(_quantile(far[rows][at]))),
        }
        for when in widths:
            found[name][when] = _measures(mask, inside[when], wide[when])
    return found


def by_column(forecast: Forecast, intervals: Intervals, layout: Layout) -> dict[str, list[float | None]]:
    """Coverage of the recalibrated 90% interval of each moving column by horizon; None where it never moves."""
    inside = (forecast.truth - forecast.mean).abs() <= intervals.half_width(forecast.spread, LEVEL)
    moves = moving(forecast)
    columns = enumerate(layout.columns)
    return {name: _by_step(moves[..., c], _share(inside[..., c])) for c, name in columns}


def open_loop_error(forecast: Forecast, layout: Layout) -> dict[str, dict[str, list[float]]]:
    """Root mean square error of each column by horizon, in the column's unit.

    Returns:
        Per column `model`, the error of the members' mean fed with its own predictions, and `naive`, that of the
        forecast that nothing moves.
    """
    sides = {"model": forecast.mean, "naive": forecast.start.expand_as(forecast.truth)}
    errors = {name: (side - forecast.truth).square().mean(dim=1).sqrt() for name, side in sides.items()}
    return {
        column: {name: error[:, at].tolist() for name, error in errors.items()}
        for at, column in enumerate(layout.columns)
    }


def groups(forecast: Forecast, layout: Layout) -> Iterator[tuple[str, Bool[Tensor, "H R O"]]]:
    """Yield the reported groups of columns, each as a mask of entries."""
    moves = moving(forecast)
    yield "all", torch.ones_like(moves)
    yield "moving", moves
    if layout.objects:
        own = torch.zeros(layout.obs_size, dtype=torch.bool, device=moves.device)
        for body in layout.objects:
            own[[*body.positions, *body.velocities]] = True
        yield "moving_objects", moves & own


def rank_correlation(forecast: Forecast) -> list[float | None]:
    """Spearman's rank correlation of raw disagreement and true error, by horizon; None if either is constant."""
    found = []
    for apart, error in zip(forecast.disagreement.cpu(), forecast.error.cpu(), strict=True):
        varied = len(apart) > 2 and bool(apart.min() < apart.max()) and bool(error.min() < error.max())
        found.append(float(spearmanr(apart, error).statistic) if varied else None)
    return found


def _measures(mask: Tensor, inside: dict[float, Tensor], wide: Tensor) -> dict[str, Any]:
    by_level = [_by_step(mask, _share(inside[level])) for level in LEVELS]
    gaps = [
        [abs(found - level) for found, level in zip(step, LEVELS, strict=True) if found is not None]
        for step in zip(*by_level, strict=True)
    ]
    return {
        "coverage": _by_step(mask, _share(inside[LEVEL])),
        "ece": [sum(gap) / len(gap) if gap else None for gap in gaps],
        "width": _by_step(mask, lambda step, at: float(wide[step][at].mean())),
    }


def _share(inside: Tensor) -> Callable[[int, Tensor], float]:
    return lambda step, at: float(inside[step][at].float().mean())


def _by_step(mask: Tensor, measure: Callable[[int, Tensor], float]) -> list[float | None]:
    return [measure(step, at) if bool(at.any()) else None for step, at in enumerate(mask)]


def _quantile(values: Tensor) -> Tensor:
    """The 90% quantile; `torch.quantile` refuses long tensors."""
    return values.kthvalue(max(1, round(LEVEL * len(values)))).values


SHARE = 0.05
"""Share of a dataset's episodes that `fit` holds out."""

HORIZON = 12
"""Control steps of a segment: as many as the longest default plan."""

STRETCHES = 1500


class Halves(NamedTuple):
    """Held-out episodes, split by episode: no episode has segments in both halves."""

    calibration: Pool
    test: Pool | None
    """None if only one episode was held out, which is then used for calibration."""


def halves(held_out: Pool) -> Halves:
    """Split held-out episodes in two; the half of each episode depends on its key and position alone."""
    whole = held_out.where(lambda record: record.steps > 0)
    return Halves(*whole.split(0.5, seed=1)) if len(whole) > 1 else Halves(whole, None)


def held_out_halves(dataset: Dataset) -> tuple[Pool, Pool]:
    """Episodes for calibration and for testing: the halves of what `fit` holds out of a dataset.

    Raises:
        UserError: too few episodes to hold out two.
    """
    calibration, test = halves(dataset.split(SHARE, seed=0)[1])
    if test is None:
        raise UserError(f"{dataset.path}: too few of {len(dataset)} episodes are held out; collect more")
    return calibration, test


def stretches(pool: Pool, seed: int, horizon: int = HORIZON, count: int = STRETCHES) -> Segments:
    """Sample at most `count` segments of episodes; they are shorter than `horizon` if no episode is that long.

    Raises:
        UserError: no episode has a control step.
    """
    episodes = [(torch.tensor(e.obs), torch.tensor(e.actions)) for e in pool.episodes() if len(e)]
    longest = max((len(actions) for _, actions in episodes), default=0)
    if not longest:
        raise UserError(f"{pool.name} holds no control steps to judge a model by; collect some")
    return Segments.cut(episodes, min(horizon, longest), count, torch.Generator().manual_seed(seed))


ROWS = 5000
BINS = 20

TESTED = "interval_coverage"
"""Key of the reliability of a model's intervals among its notes."""


def calibrate(dynamics: EnsembleDynamics, segments: Segments, held_out: Transitions) -> dict[str, Any]:
    """Error by horizon of the model and of 'nothing moves'; error by disagreement; percentiles of disagreement."""
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
    """Fit intervals and the scale of disagreement on one half of the held-out episodes, and test on the other.

    Returns:
        Entries for a model's notes: what `Intervals.of` and `DisagreementScale.of` read, and the `reliability` of the
        intervals, which is None if only one episode was held out.

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
    """Fit intervals and the scale of disagreement on episodes that neither training nor a later test uses.

    Raises:
        UserError: the episodes have no control steps.
    """
    seen = forecast(dynamics, stretches(calibration, seed, horizon), seed)
    return Intervals.fit(seen, dynamics.layout), DisagreementScale.fit(seen.disagreement)


@torch.no_grad()
def disagreement_and_error(
    dynamics: EnsembleDynamics, data: Transitions
) -> tuple[Float[Tensor, " B"], Float[Tensor, " B"]]:
    """Spread of the members' predictions and error of their mean, as root mean squares of normalised changes."""
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
