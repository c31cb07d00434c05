from __future__ import annotations

import json

import pytest
import torch

from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.dynamics.rollout import Imagination, Imagined
from world_models.errors import ModelError
from world_models.layout import Layout
from world_models.transitions import Segments
from world_models.uncertainty.disagreement import DisagreementScale, Novelty, disagreement
from world_models.uncertainty.forecast import CHUNK, DRAWS, forecast
from world_models.uncertainty.novelty import Familiarity


def scale(steps: int = 3, rows: int = 999) -> DisagreementScale:
    """After t steps it saw t, 2 t, ... `rows` t."""
    return DisagreementScale.fit(torch.arange(1.0, rows + 1) * torch.arange(1, steps + 1)[:, None])


def test_the_median_is_a_half_and_the_order_is_kept() -> None:
    found = scale()
    raw = torch.linspace(0, 1200, 500).expand(3, -1)
    share = found.percentile(raw)
    assert bool((share.diff(dim=1) >= 0).all())
    assert found.percentile(torch.tensor([[500.0], [1000.0], [1500.0]]))[:, 0].tolist() == [0.5] * 3
    assert float(found.percentile(torch.tensor([[250.5]]))) == pytest.approx(0.25, abs=1e-3)


def test_the_ends() -> None:
    raw = torch.tensor([[-1.0, 0.0, 0.99, 999.0, 1e9, torch.inf, torch.nan]])
    assert scale().percentile(raw).tolist() == [[0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]]


def test_beyond_the_largest_seen_the_ratio_grows_on() -> None:
    ratio = scale().ratio(torch.tensor([[989.02], [2 * 1978.04], [3 * 2967.06]]))
    assert ratio[:, 0].tolist() == pytest.approx([1.0, 2.0, 3.0], rel=1e-4)


def test_batches_of_any_shape_and_plans_longer_than_the_scale() -> None:
    found, raw = scale(), torch.rand(5, 2, 4) * 3000
    share = found.percentile(raw)
    assert share.shape == found.ratio(raw).shape == (5, 2, 4)
    assert torch.equal(share[4], found.percentile(raw[[0, 1, 4]])[2])
    assert found.percentile(raw[:, 0, 0]).shape == (5,)


def test_members_that_always_agreed_make_any_disagreement_extreme() -> None:
    found = DisagreementScale.fit(torch.zeros(2, 10))
    assert found.percentile(torch.tensor([[0.0, 1e-6]] * 2)).tolist() == [[0.0, 1.0]] * 2
    assert bool(found.ratio(torch.ones(2, 1)).isfinite().all())


def test_held_out_shares_are_even(generator: torch.Generator) -> None:
    drawn = torch.randn(1, 20_000, generator=generator).exp()
    share = DisagreementScale.fit(drawn[:, :10_000]).percentile(drawn[:, 10_000:])[0].sort().values
    assert float((share - torch.linspace(0, 1, 10_000)).abs().max()) < 0.03


def test_the_scale_lives_among_notes() -> None:
    found = scale()
    again = DisagreementScale.of(json.loads(json.dumps({"disagreement_scale": found.to_json()})))
    torch.testing.assert_close(again.quantiles, found.quantiles, rtol=1e-4, atol=0)
    with pytest.raises(ModelError, match="has no scale"):
        DisagreementScale.of({})


@pytest.mark.parametrize(
    "notes", [None, [], [[]], "x", [[1, 2]], [[1, 2, None]], [[3, 2, 1]], [[1, 2, 3], [1, 2]], {"a": 1}]
)
def test_damaged_notes(notes: object) -> None:
    with pytest.raises(ModelError, match="damaged"):
        DisagreementScale.of({"disagreement_scale": notes})


def test_disagreement_by_hand_and_for_any_number_of_particles(generator: torch.Generator) -> None:
    particles = torch.zeros(2, 2, 1, 2)
    particles[1, 1, 0] = torch.tensor([2.0, 0.0])
    found = disagreement(Imagined(particles, particles, torch.tensor([0.5, 1.0])))
    assert found.tolist() == [
        [pytest.approx((8 / 2) ** 0.5)]
    ]  # variance 2 in units of 1/2, mean of two columns
    many = torch.randn(2, 40, 5000, 1, generator=generator)
    mean = [
        float(disagreement(Imagined(part, part, torch.ones(1))).square().mean())
        for part in (many[:, :2], many[:, :5], many)
    ]
    assert mean == pytest.approx([1.0] * 3, abs=0.05)
    assert disagreement(Imagined(many[:, :1], many[:, :1], torch.ones(1))).tolist() == [[0.0] * 5000]


def test_a_state_is_as_rare_as_its_rarest_column(layout: Layout, generator: torch.Generator) -> None:
    obs = torch.zeros(1000, layout.obs_size)
    obs[:, 0] = torch.linspace(-0.499, 0.499, 1000)
    obs[:100, 4] = 0.05  # the right slider was elsewhere in a tenth of the states
    familiarity = Familiarity.of(obs, layout)
    never, rare, common = torch.zeros(3, layout.obs_size)
    never[4], rare[4], common[0] = -0.09, 0.05, 0.3
    share = familiarity.rarity(torch.stack([never, rare, common]))
    assert float(share[0]) == 1.0 and float(share[0]) > float(share[1])
    assert bool((familiarity.rarity(obs) < 1).all())
    beyond = torch.zeros(4, layout.obs_size)
    beyond[:, 1] = torch.tensor([0.7, -torch.inf, torch.inf, torch.nan])
    assert familiarity.rarity(beyond).tolist() == [1.0] * 4
    assert familiarity.rarity(torch.zeros(2, 3, layout.obs_size)).shape == (2, 3)


def test_a_locked_slider_that_moved_is_novel_in_touch_and_out_of_it(
    locked: EnsembleDynamics, segments: Segments, layout: Layout
) -> None:
    obs = segments.obs.flatten(0, 1).clone()
    obs[:, 4] = 0.0
    novelty = Novelty(scale(12), Familiarity.of(obs, layout))
    here = obs[:2].clone()
    here[1, 4] = 0.08
    imagined = Imagination(locked, 3)(here, torch.zeros(2, 12, 3))
    found = novelty(imagined)
    assert found.shape == (12, 2) and float(found[0, 1]) == 1.0 > float(found[0, 0])


def test_a_forecast_is_what_imagination_says(locked: EnsembleDynamics, segments: Segments) -> None:
    found = forecast(locked, segments)
    imagined = Imagination(locked, 3)(segments.obs[:, 0], segments.actions)
    torch.testing.assert_close(found.mean, imagined.particles[1:].mean(dim=1), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found.spread / found.change, imagined.disagreement(), atol=2e-4, rtol=1e-3)
    assert torch.equal(found.truth[4, 7], segments.obs[7, 5]) and torch.equal(
        found.start[7], segments.obs[7, 0]
    )
    error = ((found.truth - found.mean)[2, 3] / found.change).square().mean().sqrt()
    assert float(found.error[2, 3]) == pytest.approx(float(error))
    assert found.disagreement.shape == found.error.shape == (12, len(segments))


def test_a_forecast_in_chunks_is_the_same(locked: EnsembleDynamics, segments: Segments) -> None:
    times = CHUNK // len(segments) + 1
    many = Segments(segments.obs.repeat(times, 1, 1), segments.actions.repeat(times, 1, 1))
    found, one = forecast(locked, many), forecast(locked, segments)
    assert found.mean.shape[1] == len(many) > CHUNK
    torch.testing.assert_close(found.mean[:, -len(segments) :], one.mean, rtol=1e-4, atol=1e-5)


def test_gaussian_heads_take_several_draws_per_member(build: object, segments: Segments) -> None:
    dynamics = build(head="gaussian")  # type: ignore[operator]
    found = forecast(dynamics, segments, seed=1)
    again = forecast(dynamics, segments, seed=1)
    assert DRAWS > 1 and torch.equal(found.spread, again.spread)
    assert bool((found.spread[0] > 0).any())
