"""Coloured noise: random sequences whose power falls with frequency as 1 / f^beta.

Timmer and Koenig (1995), "On generating power law noise"; for planning, Pinneri et al. (2020), iCEM, 3.1.
"""

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
    if beta == 0.0 or steps < 2:
        return torch.randn(shape, generator=generator, device=device)
    frequency = torch.fft.rfftfreq(steps, device=device)
    frequency[0] = 1.0 / steps
    scale = frequency ** (-beta / 2)
    parts = torch.randn((2, *batch, size, scale.numel()), generator=generator, device=device) * scale
    parts[1, ..., 0] = 0.0
    parts[0, ..., 0] *= 2**0.5
    if steps % 2 == 0:
        parts[1, ..., -1] = 0.0
        parts[0, ..., -1] *= 2**0.5
    weight = scale[1:].clone()
    if steps % 2 == 0:
        weight[-1] /= 2**0.5
    # Variance of a sample: the zero frequency counts half of what the paired ones do.
    sigma = 2 * ((weight**2).sum() + scale[0] ** 2 / 2).sqrt() / steps
    noise = torch.fft.irfft(torch.complex(parts[0], parts[1]), n=steps, dim=-1) / sigma
    return noise.transpose(-1, -2).contiguous()
