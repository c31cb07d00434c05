"""Whether a model's doubts are right: coverage of its intervals, and whether it errs where it disagrees."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from jaxtyping import Bool
from scipy.stats import norm, spearmanr
from torch import Tensor

from world_models.calibration.forecast import Forecast
from world_models.calibration.intervals import Intervals, moving
from world_models.layout import Layout

LEVEL = 0.9
"""Share of the columns that the interval of the tables should hold."""

LEVELS = tuple(round(0.05 * k, 2) for k in range(1, 20))
"""Levels over which the calibration error is averaged."""

HalfWidth = Callable[[float], Tensor]
"""From a level to half the width of its interval, [H, R, O]."""


def reliability(forecast: Forecast, intervals: Intervals, layout: Layout) -> dict[str, Any]:
    """Coverage of the 90% interval, calibration error and width by horizon, before and after recalibration.

    Three groups of columns: `all`, `moving` (see `world_models.calibration.intervals.moving`) and, where the layout has
    objects, `moving_objects` (their positions and velocities). Resting columns are predicted exactly, so that
    any interval holds them: `all` can be no better calibrated than that. Before recalibration the members'
    spread is taken for the standard deviation of a normal distribution.

    Returns:
        `level`, `horizon` and per group `share` (of all entries) and `travel` (twice the 90% quantile of how far
        columns stray from the start: the width of an interval that knows nothing), then for `before` and `after`
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
    """Coverage of the recalibrated 90% interval of each column by horizon, where it moves; None where it never does."""
    inside = (forecast.truth - forecast.mean).abs() <= intervals.half_width(forecast.spread, LEVEL)
    moves = moving(forecast)
    columns = enumerate(layout.columns)
    return {name: _by_step(moves[..., c], _share(inside[..., c])) for c, name in columns}


def groups(forecast: Forecast, layout: Layout) -> Iterator[tuple[str, Bool[Tensor, "H R O"]]]:
    """The groups of columns that are reported, each as a mask of entries."""
    moves = moving(forecast)
    yield "all", torch.ones_like(moves)
    yield "moving", moves
    if layout.objects:
        own = torch.zeros(layout.obs_size, dtype=torch.bool, device=moves.device)
        for body in layout.objects:
            own[[*body.positions, *body.velocities]] = True
        yield "moving_objects", moves & own


def rank_correlation(forecast: Forecast) -> list[float | None]:
    """Spearman's rank correlation of raw disagreement and true error, by horizon; None where either is constant."""
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
    """The 90% quantile; torch's own refuses long tensors."""
    return values.kthvalue(max(1, round(LEVEL * len(values)))).values
