"""Learning rate and momentum along a training."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple


class Rate(NamedTuple):
    """Adam's step size and first-moment decay for one step."""

    learning_rate: float
    momentum: float = 0.9


Schedule = Callable[[int], Rate | None]
"""The rate of step i; None ends training before that step."""


@dataclass(frozen=True)
class OneCycle:
    """Rate up and down again along cosines, momentum the other way (Smith and Topin 2018, super-convergence).

    The same curve as `torch.optim.lr_scheduler.OneCycleLR` with its defaults, but as a function of how much
    of the training is over, so that it needs no state and can follow the clock.
    """

    peak: float
    rise: float = 0.3

    def __call__(self, progress: float) -> Rate:
        """The rate when `progress` of the training, from 0 to 1, is over."""
        if progress < self.rise:
            up = _cosine(progress / self.rise)
            return Rate(self.peak * (0.04 + 0.96 * up), 0.95 - 0.1 * up)
        down = _cosine(min((progress - self.rise) / (1 - self.rise), 1.0))
        return Rate(self.peak * (1 - down * (1 - 4e-6)), 0.85 + 0.1 * down)


def _cosine(fraction: float) -> float:
    return (1 - math.cos(math.pi * fraction)) / 2
