"""Correlated noise for actions that explore."""

import numpy as np
from numpy import ndarray


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
