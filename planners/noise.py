"""Coloured noise: random sequences whose power falls with frequency as 1 / f^beta.

Timmer and Koenig (1995), "On generating power law noise"; for planning, Pinneri et al. (2020), iCEM, 3.1.
"""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor


def coloured_noise(
    shape: tuple[int, ...], beta: float, generator: torch.Generator
) -> Float[Tensor, "*b H A"]:
    """Sequences of unit variance along the second last axis; beta 0 is white, 2 is a random walk.

    Args:
        shape: (..., H, A).
        beta: exponent of the power spectrum.
        generator: source of randomness; its device is the result's.
    """
    *batch, steps, size = shape
    device = generator.device
    if beta == 0.0 or steps < 2 or 0 in shape:
        return torch.randn(shape, generator=generator, device=device)
    scale, real, imaginary, sigma = _spectrum(steps, beta, device)
    parts = torch.randn((2, *batch, size, scale.numel()), generator=generator, device=device) * scale
    parts = torch.complex(parts[0] * real, parts[1] * imaginary)
    return (torch.fft.irfft(parts, n=steps, dim=-1) / sigma).transpose(-1, -2).contiguous()


def autocovariance(steps: int, beta: float) -> Float[Tensor, "H H"]:
    """Covariance of every two steps of a sequence; it goes round, so the last step is next to the first."""
    if beta == 0.0 or steps < 2:
        return torch.eye(steps)
    power = _spectrum(steps, beta, torch.device("cpu"))[0] ** 2
    by_lag = torch.fft.irfft(power, n=steps)
    lag = torch.arange(steps)
    return by_lag[lag[:, None] - lag] / by_lag[0]  # a negative index goes round too


@lru_cache(maxsize=16)
def _spectrum(steps: int, beta: float, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Amplitude by frequency, weight of its real and of its imaginary part, standard deviation of a sample."""
    frequency = torch.fft.rfftfreq(steps, device=device)
    frequency[0] = 1.0 / steps
    scale = frequency ** (-beta / 2)
    # The lowest frequency, and of an even number of steps the highest, is real and has no mirror image.
    real, imaginary = torch.ones_like(scale), torch.ones_like(scale)
    alone = [0, -1] if steps % 2 == 0 else [0]
    for i in alone:
        real[i], imaginary[i] = 2**0.5, 0.0
    weight = scale[1:].clone()
    if steps % 2 == 0:
        weight[-1] /= 2**0.5
    # Variance of a sample: the zero frequency counts half of what the paired ones do.
    sigma = 2 * ((weight**2).sum() + scale[0] ** 2 / 2).sqrt() / steps
    return scale, real, imaginary, sigma
