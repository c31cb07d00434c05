from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.dynamics.rollout import Imagination
from world_models.errors import ModelError
from world_models.layout import Layout
from world_models.transitions import Segments
from world_models.uncertainty.forecast import relative_error, resting_error, rollout_error

Build = Callable[..., EnsembleDynamics]


def plans(segments: Segments) -> tuple[Tensor, Tensor]:
    return segments.obs[:, 0], segments.actions


def test_it_does_what_forward_says(fitted: EnsembleDynamics, segments: Segments, layout: Layout) -> None:
    obs, actions = plans(segments)
    path = Imagination(fitted, 3)(obs, actions).particles
    low, high = torch.tensor(layout.low), torch.tensor(layout.high)
    limited = torch.tensor(layout.limited)
    now = obs.expand(3, -1, -1)
    for t in range(3):
        change = fitted(now, actions[:, t].expand(3, -1, -1)).mean * fitted.normalizer.change
        now = (now + change).detach()
        now = torch.where(limited, now.clamp(low, high), now)
        assert torch.allclose(path[t + 1], now, atol=1e-5)


@pytest.mark.parametrize("propagation", ["ts1", "mean"])
def test_ways_agree_for_one_deterministic_member(
    build: Build, segments: Segments, generator: torch.Generator, propagation: str
) -> None:
    dynamics = build(members=1)
    expected = Imagination(dynamics, 3, "tsinf")(*plans(segments)).obs.mean(dim=1)
    found = Imagination(dynamics, 3, propagation)(*plans(segments), generator).obs.mean(dim=1)
    assert torch.allclose(found, expected, atol=1e-5)


def test_ts1_mixes_members(fitted: EnsembleDynamics, segments: Segments, generator: torch.Generator) -> None:
    stay = Imagination(fitted, 3, "tsinf")(*plans(segments)).particles
    swap = Imagination(fitted, 3, "ts1")(*plans(segments), generator).particles
    assert torch.allclose(stay[1].mean(dim=0), swap[1].mean(dim=0), atol=1e-6)  # one step: only reordered
    assert not torch.allclose(stay[-1].mean(dim=0), swap[-1].mean(dim=0), atol=1e-4)


def test_limits_are_clamped_and_only_they(
    build: Build, segments: Segments, layout: Layout, generator: torch.Generator
) -> None:
    dynamics = build()
    with torch.no_grad():
        for value in dynamics.parameters():
            value.copy_(torch.randn(value.shape, generator=generator))
    path = Imagination(dynamics, 2)(*plans(segments)).obs[1:]
    outside = (path < torch.tensor(layout.low)) | (path > torch.tensor(layout.high))
    limited = torch.tensor(layout.limited)
    assert not outside[..., limited].any()
    assert outside[..., ~limited].any()


@pytest.mark.parametrize("structure", ["objects", "dense"])
@pytest.mark.parametrize("propagation", ["tsinf", "mean"])
def test_rows_are_independent(build: Build, segments: Segments, structure: str, propagation: str) -> None:
    obs, actions = plans(segments)
    follow = Imagination(build(structure=structure), 2, propagation)
    together = follow(obs, actions).obs
    alone = follow(obs[5:6], actions[5:6]).obs
    assert torch.allclose(together[:, :, 5:6], alone, atol=1e-5)


def test_disagreement(fitted: EnsembleDynamics, build: Build, segments: Segments) -> None:
    def of(dynamics: EnsembleDynamics, particles: int) -> Tensor:
        return Imagination(dynamics, particles)(*plans(segments)).disagreement()

    assert of(fitted, 3).shape == (12, len(segments), 16)
    assert not of(fitted, 1).any()
    assert (of(fitted, 3)[-1].mean() > of(fitted, 3)[0].mean()) and (of(fitted, 3) >= 0).all()


def test_particles_follow_the_elites(fitted: EnsembleDynamics, segments: Segments) -> None:
    every = Imagination(fitted, 3)(*plans(segments)).particles
    fitted.elites = torch.tensor([2, 0])
    best = Imagination(fitted, 3)(*plans(segments)).particles
    assert torch.allclose(best, every[:, [2, 0, 2]], atol=1e-6)


def test_noise_of_a_gaussian_head_is_seeded(build: Build, segments: Segments) -> None:
    follow = Imagination(build(head="gaussian"), 2)
    runs = [follow(*plans(segments), torch.Generator().manual_seed(seed)).obs for seed in (0, 0, 1)]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_nothing_is_learned_by_imagining(fitted: EnsembleDynamics, segments: Segments) -> None:
    assert not Imagination(fitted, 3)(*plans(segments)).obs.requires_grad


@pytest.mark.parametrize(("particles", "propagation"), [(0, "tsinf"), (3, "ts2")])
def test_bad_settings_are_refused(build: Build, particles: int, propagation: str) -> None:
    with pytest.raises((ModelError, TypeError), match=r"particles|propagation"):
        Imagination(build(), particles, propagation)  # type: ignore[arg-type]


def test_a_fitted_model_beats_the_forecast_that_nothing_moves(
    fitted: EnsembleDynamics, segments: Segments
) -> None:
    model, naive = rollout_error(fitted, segments), resting_error(fitted, segments)
    assert model.shape == (3, 12) and naive.shape == (12,)
    assert (model < 0.5 * naive).all()
    assert torch.allclose(relative_error(fitted, segments), model[:, -1] / naive[-1])


def test_errors_are_of_all_members_whoever_is_elite(fitted: EnsembleDynamics, segments: Segments) -> None:
    before = rollout_error(fitted, segments)
    fitted.elites = torch.tensor([1])
    assert torch.equal(rollout_error(fitted, segments), before)
    assert fitted.elites.tolist() == [1]
