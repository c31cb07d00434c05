from __future__ import annotations

import pytest
import torch

from planners.sampling import coloured_noise


def draw(steps: int, beta: float, n: int = 4000, seed: int = 0) -> torch.Tensor:
    return coloured_noise((n, steps, 2), beta, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("steps", [1, 2, 3, 12, 13, 64])
@pytest.mark.parametrize("beta", [0.0, 1.0, 2.0, 4.0])
def test_each_step_has_unit_variance_and_no_mean(steps: int, beta: float) -> None:
    noise = draw(steps, beta)
    assert noise.shape == (4000, steps, 2)
    torch.testing.assert_close(noise.var(dim=0), torch.ones(steps, 2), rtol=0, atol=0.15)
    torch.testing.assert_close(noise.mean(dim=0), torch.zeros(steps, 2), rtol=0, atol=0.09)


@pytest.mark.parametrize("beta", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("steps", [64, 65])
def test_power_falls_with_frequency_as_it_should(beta: float, steps: int) -> None:
    power = torch.fft.rfft(draw(steps, beta, n=2000), dim=1).abs().square().mean(dim=(0, 2))
    frequency = torch.fft.rfftfreq(steps)
    log_power, log_frequency = power[1:-1].log(), frequency[1:-1].log()
    centred = log_frequency - log_frequency.mean()
    slope = float((centred * log_power).sum() / centred.square().sum())
    assert slope == pytest.approx(-beta, abs=0.05)


def test_columns_and_sequences_are_independent() -> None:
    noise = draw(12, 2.0)
    assert abs(float((noise[..., 0] * noise[..., 1]).mean())) < 0.05
    assert abs(float((noise[:2000] * noise[2000:]).mean())) < 0.05


def test_redder_noise_is_smoother() -> None:
    jumps = [float(draw(32, beta).diff(dim=1).square().mean()) for beta in (0.0, 1.0, 2.0)]
    assert jumps[0] > 2 * jumps[1] > 3 * jumps[2]


def test_it_depends_on_the_generator_alone() -> None:
    assert torch.equal(draw(12, 2.0, n=5), draw(12, 2.0, n=5))
    assert not torch.equal(draw(12, 2.0, n=5), draw(12, 2.0, n=5, seed=1))
