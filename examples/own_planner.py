"""A planner of one's own, used as `mbtransfer evaluate --planner examples/own_planner.py:HalfBest ...`.

Each iteration moves the mean halfway to the best candidate and narrows the spread.
"""

from dataclasses import dataclass

from torch import Tensor

from planners.sampling import Count, SamplingConfig, SamplingPlanner, SamplingState, Share
from planners.search import best_of


@dataclass(frozen=True)
class HalfBestConfig(SamplingConfig):
    """Settings with their ranges; `--settings narrow=0.8` replaces one."""

    iterations: Count = 3
    """Times the mean moves."""
    narrow: Share = 0.7
    """Factor of the spread from one iteration to the next."""


class HalfBest(SamplingPlanner):
    """Moves halfway to the best plan."""

    config_type = HalfBestConfig

    def update(self, state: SamplingState, candidates: Tensor, returns: Tensor) -> SamplingState:
        """The distribution after an iteration."""
        best, value = best_of(candidates, returns, 1)
        mean = (state.mean + best[:, 0]) / 2
        return state.updated(mean=mean, std=state.std * self.config.narrow, elites=best, elite_returns=value)
