"""Intervals of forecasts whose errors are drawn here, so that their true coverage is known."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from world_models.errors import ModelError
from world_models.layout import Layout
from world_models.uncertainty.conformal import LEVELS, MOVING, Intervals, column_groups, moving
from world_models.uncertainty.forecast import Forecast

STEPS, ROWS = 3, 4000


def drawn(layout: Layout, seed: int, rows: int = ROWS, noise: float = 2.0) -> Forecast:
    """Spreads that vary by row and column; errors normal, `noise` times as wide as the spread says.

    The last column rests: nothing is expected of it and nothing happens.
    """
    generator = torch.Generator().manual_seed(seed)
    shape = (STEPS, rows, layout.obs_size)
    change = torch.linspace(0.5, 2.0, layout.obs_size)
    spread = change * torch.rand(shape, generator=generator) * torch.arange(1, STEPS + 1)[:, None, None]
    mean = 5 * change * torch.randn(shape, generator=generator)
    truth = mean + noise * spread * torch.randn(shape, generator=generator)
    for part in (spread, mean, truth):
        part[..., -1] = 0.0
    return Forecast(mean, spread, truth, torch.zeros(shape[1:]), spread.mean(dim=-1), change)


@pytest.mark.parametrize("level", [0.5, 0.72, 0.9, 0.98])
def test_coverage_is_as_promised_whatever_the_spread_says(layout: Layout, level: float) -> None:
    made, test = Intervals.fit(drawn(layout, 0), layout), drawn(layout, 1)
    low, high = made.around(test.mean, test.spread, level)
    inside = (low <= test.truth) & (test.truth <= high)
    assert inside[..., :-1].float().mean(dim=(1, 2)).tolist() == pytest.approx([level] * STEPS, abs=0.015)
    assert bool(inside[..., -1].all())


def test_what_rests_does_not_narrow_what_moves(layout: Layout) -> None:
    still = drawn(layout, 0)
    for part in (still.mean, still.truth, still.spread):
        part[:, : ROWS * 9 // 10, 3:5] = 0.0  # the sliders rest in nine of ten stretches
    made, test = Intervals.fit(still, layout), drawn(layout, 1)
    inside = (test.truth - test.mean).abs() <= made.half_width(test.spread)
    assert float(inside[..., 3:5].float().mean()) == pytest.approx(0.9, abs=0.03)


def test_what_moves_unexpectedly_counts_and_what_was_expected_to_move_counts(layout: Layout) -> None:
    forecast = drawn(layout, 0, rows=3)
    forecast.mean[:, 0], forecast.truth[:, 0] = 0.0, 2 * MOVING * forecast.change
    forecast.mean[:, 1], forecast.truth[:, 1] = 2 * MOVING * forecast.change, 0.0
    forecast.mean[:, 2], forecast.truth[:, 2] = 0.5 * MOVING * forecast.change, 0.0
    assert moving(forecast).all(dim=2).tolist() == [[True, True, False]] * STEPS


def test_members_that_agree_to_the_last_bit_leave_an_interval(layout: Layout) -> None:
    seen = drawn(layout, 0)
    agreed = replace(seen, spread=torch.zeros_like(seen.spread))
    half = Intervals.fit(agreed, layout).half_width(agreed.spread)
    inside = (agreed.truth - agreed.mean).abs() <= half
    assert float(inside[..., :-1].float().mean()) == pytest.approx(0.9, abs=0.01)


def test_wider_for_higher_levels_and_the_last_step_serves_beyond(layout: Layout) -> None:
    made, spread = Intervals.fit(drawn(layout, 0), layout), torch.ones(STEPS + 2, layout.obs_size)
    widths = torch.stack([made.half_width(spread, level) for level in (0.05, 0.3, 0.33, 0.9, 0.99)])
    assert bool((widths.diff(dim=0) > 0).all())
    assert torch.equal(widths[:, STEPS], widths[:, STEPS - 1])


@pytest.mark.parametrize("level", [0.0, 0.04, 0.995, float("nan")])
def test_a_level_out_of_range(layout: Layout, level: float) -> None:
    made = Intervals.fit(drawn(layout, 0, rows=30), layout)
    with pytest.raises(ModelError, match="levels from"):
        made.half_width(torch.ones(1, layout.obs_size), level)


def test_few_or_no_scores_are_not_an_error(layout: Layout) -> None:
    few = drawn(layout, 0, rows=1)
    rest = torch.zeros_like(few.mean)
    for forecast in (few, replace(few, mean=rest, truth=rest)):
        half = Intervals.fit(forecast, layout).half_width(forecast.spread)
        assert bool(half.isfinite().all()) and bool((half >= 0).all())


def test_columns_of_a_kind_share_a_group(layout: Layout) -> None:
    groups = column_groups(layout)
    assert groups[0] == groups[2] == "hand positions" and groups[5] == "hand velocities"
    assert groups[3] == groups[4] == "object positions" and groups[8] == "object velocities"
    assert set(groups[10:]) == {"vectors"}
    assert column_groups(replace(layout, hand=None, objects=())) == layout.columns


def test_notes_are_small_and_give_the_same_intervals_back(layout: Layout) -> None:
    made, spread = Intervals.fit(drawn(layout, 0), layout), torch.ones(STEPS, 2, layout.obs_size)
    text = json.dumps(made.to_json())
    again = Intervals.of({"intervals": json.loads(text)})
    assert len(text) < 10_000 and again.groups == made.groups
    torch.testing.assert_close(
        again.half_width(spread, 0.83), made.half_width(spread, 0.83), rtol=1e-4, atol=0
    )


def test_a_model_without_intervals() -> None:
    with pytest.raises(ModelError, match="has no intervals"):
        Intervals.of({})


@pytest.mark.parametrize(
    "damage",
    [
        None,
        [],
        {},
        {"groups": []},
        {"groups": 3},
        {"floor": [0.1]},
        {"floor": "x"},
        {"floor": [None] * 16},
        {"factors": {}},
        {"factors": {"vectors": [[1.0]]}},
        {"factors": {"hand positions": [[1.0] * len(LEVELS)]}},
    ],
)
def test_damaged_notes(layout: Layout, damage: object) -> None:
    whole = Intervals.fit(drawn(layout, 0, rows=30), layout).to_json()
    notes = whole | damage if isinstance(damage, dict) and damage else damage
    with pytest.raises(ModelError, match="damaged"):
        Intervals.of({"intervals": notes})
