"""The iterations of one decision: counted, and ended in time (anytime planning).

Dean and Boddy (1988), "An analysis of time-dependent planning".
"""

from collections.abc import Iterator
from time import perf_counter

import torch


class Rounds:
    """Counts iterations, and begins none that would end after the deadline.

    Attributes:
        done: iterations that are over.
        cut: whether the deadline ended them early.
    """

    def __init__(self, deadline: float | None, device: torch.device) -> None:
        self.done, self.cut = 0, False
        self._deadline, self._device = deadline, device
        self._began = self._longest = 0.0

    def __call__(self, most: int) -> Iterator[int]:
        """0, 1, ... up to `most` iterations; later calls go on with the same deadline."""
        for i in range(most):
            if self._deadline is not None and not self._fits(self._deadline):
                self.cut = True
                return
            yield i
            self.done += 1

    def _fits(self, deadline: float) -> bool:
        """Whether there is time for one more iteration like the longest; the first is always done."""
        if self._device.type == "cuda":  # what was launched so far is not over yet
            torch.cuda.synchronize(self._device)
        now = perf_counter()
        if self.done:
            self._longest = max(self._longest, now - self._began)
        self._began = now
        return self.done == 0 or now + self._longest <= deadline
