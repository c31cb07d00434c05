"""Splines and the noise that is drawn at their knots."""

from __future__ import annotations

import pytest
import torch

from planners.base import Bounds
from planners.sampling import Sampler, SamplingConfig, autocovariance, coloured_noise, spline

BOX = Bounds(-torch.ones(2), torch.ones(2))


def draw(n: int = 4000, **settings: float) -> torch.Tensor:
    sampler = Sampler(SamplingConfig(**settings), BOX)  # type: ignore[arg-type]
    return sampler.draw(n, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("steps", [1, 2, 7, 12])
def test_as_many_knots_as_steps_are_the_steps(steps: int) -> None:
    torch.testing.assert_close(spline(steps, steps), torch.eye(steps), rtol=0, atol=1e-5)
    torch.testing.assert_close(draw(horizon=steps, knots=steps), draw(horizon=steps), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("knots", [1, 2, 3, 5, 12])
def test_a_spline_goes_through_its_knots_and_keeps_constants(knots: int) -> None:
    matrix = spline(12, knots)
    assert matrix.shape == (12, knots)
    torch.testing.assert_close(matrix.sum(dim=1), torch.ones(12))
    torch.testing.assert_close(matrix[0], torch.eye(knots)[0])
    torch.testing.assert_close(matrix[-1], torch.eye(knots)[-1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("knots", [2, 3, 5])
def test_a_straight_line_stays_straight(knots: int) -> None:
    line = spline(12, knots) @ torch.linspace(0, 1, knots)
    torch.testing.assert_close(line, torch.linspace(0, 1, 12))


@pytest.mark.parametrize("knots", [1, 2, 3, 6])
@pytest.mark.parametrize("beta", [0.0, 2.0])
def test_each_step_has_unit_variance(knots: int, beta: float) -> None:
    noise = draw(knots=knots, noise_beta=beta)
    assert noise.shape == (4000, 12, 2)
    torch.testing.assert_close(noise.var(dim=0), torch.ones(12, 2), rtol=0, atol=0.1)


def test_fewer_knots_are_smoother() -> None:
    jumps = [float(draw(knots=k, noise_beta=0.0).diff(dim=1).square().mean()) for k in (0, 6, 3)]
    assert jumps[0] > 2 * jumps[1] > 4 * jumps[2]


@pytest.mark.parametrize("beta", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("steps", [1, 2, 5, 6])
def test_noise_has_the_covariance_that_it_says(steps: int, beta: float) -> None:
    noise = coloured_noise((20_000, steps, 1), beta, torch.Generator().manual_seed(0))[..., 0]
    torch.testing.assert_close(noise.T @ noise / len(noise), autocovariance(steps, beta), rtol=0, atol=0.05)
