"""Correlated noise for actions that explore."""

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from planners.base import Bounds

MEMORY = 0.8
"""Autocorrelation of the noise on chosen actions: the body drifts off its way instead of trembling."""


class CorrelatedNoise:
    """First-order autoregressive noise of unit variance: `x' = m x + sqrt(1 - m^2) n`, with standard normal n.

    Args:
        rng: source of n.
        memory: m, the share of x that is kept.
    """

    def __init__(self, rng: np.random.Generator, memory: float) -> None:
        self._rng, self._memory = rng, memory
        self._value: ndarray | None = None

    def draw(self, shape: tuple[int, ...]) -> ndarray:
        """The next values; all draws must have the same shape."""
        fresh: ndarray = self._rng.normal(size=shape)
        if self._value is not None:
            fresh = self._memory * self._value + (1 - self._memory**2) ** 0.5 * fresh
        self._value = fresh
        return fresh


class ActionNoise:
    """Adds correlated noise to chosen actions, within the action box, so that data also cover what lies beside them.

    Args:
        bounds: the action box.
        std: standard deviation, as a share of half the action range.
        rng: source of the noise.
    """

    def __init__(self, bounds: Bounds, std: float, rng: np.random.Generator) -> None:
        self._bounds, self._std, self._noise = bounds, std, CorrelatedNoise(rng, MEMORY)

    def add(self, action: Float[Tensor, "B A"]) -> Float[ndarray, "B A"]:
        """The noisy actions."""
        noise = torch.from_numpy(self._noise.draw(tuple(action.shape))).to(action)
        noisy: ndarray = self._bounds.clamp(action + self._std * self._bounds.half * noise).cpu().numpy()
        return noisy
