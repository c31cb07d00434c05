"""What is said of intervals and of disagreement, where the truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mbtransfer.diagnostics.calibration import by_column, rank_correlation, reliability
from mbtransfer.diagnostics.novelty import Unvisited, auroc, separation
from mbtransfer.model import model_layout
from tasks.registry import make
from world_models.uncertainty.conformal import Intervals
from world_models.uncertainty.forecast import Forecast

SPEC = make("kitchen").spec
LAYOUT = model_layout(SPEC)


def drawn(seed: int, factor: float = 3.0) -> Forecast:
    """Normal errors, `factor` times as wide as the spread; fixtures rest in half of the stretches."""
    generator = torch.Generator().manual_seed(seed)
    shape = (2, 1000, LAYOUT.obs_size)
    spread = 0.1 + torch.rand(shape, generator=generator)
    truth = 10 * torch.randn(shape, generator=generator)
    error = factor * spread * torch.randn(shape, generator=generator)
    resting = [column for body in LAYOUT.objects for column in (*body.positions, *body.velocities)]
    for part in (spread, truth, error):
        part[:, :500, resting] = 0.0
    raw, change = spread.mean(dim=-1), torch.ones(shape[-1])
    return Forecast(truth - error, spread, truth, torch.zeros(shape[1:]), raw, change)


def test_recalibration_mends_what_the_spread_has_wrong() -> None:
    found = reliability(drawn(1), Intervals.fit(drawn(0), LAYOUT), LAYOUT)
    assert found["level"] == 0.9 and found["horizon"] == [1, 2]
    share = 20 / LAYOUT.obs_size
    for name, of_all in (("all", 1.0), ("moving", 1 - share / 2), ("moving_objects", share / 2)):
        assert found[name]["share"] == pytest.approx([of_all] * 2)
    for group in (found["moving"], found["moving_objects"]):
        assert group["before"]["coverage"] == pytest.approx([0.416] * 2, abs=0.03)  # P(|z| < 1.645 / 3)
        assert group["after"]["coverage"] == pytest.approx([0.9] * 2, abs=0.02)
        assert max(group["after"]["ece"]) < 0.02 < 0.2 < min(group["before"]["ece"])
        assert group["after"]["width"][0] == pytest.approx(2 * 1.645 * 3 * 0.6, rel=0.05)
        assert group["travel"][0] == pytest.approx(2 * 16.45, rel=0.05)
    resting = share / 2
    assert found["all"]["after"]["coverage"] == pytest.approx([resting + 0.9 * (1 - resting)] * 2, abs=0.02)


def test_a_group_without_entries_has_no_figures() -> None:
    still = drawn(0)
    rest = torch.zeros_like(still.mean)
    still = replace(still, mean=rest, truth=rest)
    intervals = Intervals.fit(still, LAYOUT)
    found = reliability(still, intervals, LAYOUT)
    assert found["all"]["after"]["coverage"] == [1.0, 1.0]
    for when in ("before", "after"):
        assert found["moving"][when] == {"coverage": [None] * 2, "ece": [None] * 2, "width": [None] * 2}
    assert set(by_column(still, intervals, LAYOUT)["drawer"]) == {None}
    assert "moving_objects" not in reliability(still, intervals, replace(LAYOUT, hand=None, objects=()))


def test_each_column_has_its_coverage() -> None:
    found = by_column(drawn(1), Intervals.fit(drawn(0), LAYOUT), LAYOUT)
    assert tuple(found) == LAYOUT.columns
    assert np.mean([value for values in found.values() for value in values if value]) == pytest.approx(
        0.9, abs=0.01
    )


def test_rank_correlation() -> None:
    seen = drawn(0)
    error = seen.error
    assert rank_correlation(replace(seen, disagreement=error**3)) == pytest.approx([1.0, 1.0])
    assert rank_correlation(replace(seen, disagreement=-error)) == pytest.approx([-1.0, -1.0])
    assert rank_correlation(replace(seen, disagreement=torch.zeros_like(error))) == [None, None]


@pytest.mark.parametrize("seed", range(5))
def test_auroc_counts_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    positive, negative = (rng.integers(0, 6 + seed, size).astype(float) for size in (17, 31))
    pairs = [(p > n) + 0.5 * (p == n) for p in positive for n in negative]
    assert auroc(positive, negative) == pytest.approx(np.mean(pairs))
    assert auroc(positive, np.array([])) is None and auroc(np.array([]), negative) is None
    assert auroc(np.ones(3), np.ones(4)) == 0.5


def test_states_that_were_never_visited() -> None:
    drawer, tap = SPEC.fixture("drawer"), SPEC.fixture("tap")
    pool = np.zeros((50, SPEC.obs_size), np.float32)  # the drawer was shut, the rest was everywhere
    for fixture in (f for f in SPEC.fixtures if f != drawer):
        pool[:, fixture.position] = np.linspace(fixture.low, fixture.high, 50)
    obs = torch.zeros(5, 2, SPEC.obs_size)
    obs[..., list(drawer.handle)] = 1.0
    obs[1, :, drawer.position] = 0.1
    obs[2, :, drawer.position] = 0.1
    obs[2, :, list(drawer.handle)] = 0.03
    obs[3, 0, drawer.position], obs[3, 1, drawer.position] = 0.1, 0.15
    obs[4, 0, tap.position], obs[4, 1, tap.position] = 0.2, 0.3
    found = Unvisited.of(SPEC, pool, obs)
    assert found.fixtures == ("drawer",)
    assert found.anywhere.tolist() == [False, True, True, True, False]
    assert found.in_touch.tolist() == [False, False, True, False, False]
    assert found.moving.tolist() == [False, False, False, True, False]
    score = {"novelty": np.array([0.1, 0.9, 0.9, 0.2, 0.3])}
    told = separation(found, score, {"novelty": np.array([0.5, 0.1])})
    assert told["visited"] == 4 and told["unvisited"] == {"anywhere": 3, "in_touch": 1, "moving": 1}
    auroc_ = told["auroc"]["novelty"]
    assert auroc_ == {"anywhere": pytest.approx(10 / 12), "in_touch": 1.0, "moving": pytest.approx(0.5)}
