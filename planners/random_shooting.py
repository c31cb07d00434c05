"""Random shooting planner: the best of many random plans, the baseline that every planner must beat.

Nagabandi et al. (2018), "Neural network dynamics for model-based deep RL", section IV-B.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from planners.base import Plan
from planners.sampling import Count, SamplingConfig, SamplingPlanner, SamplingState
from planners.search import SearchState, best_of, join


@dataclass(frozen=True)
class RandomShootingConfig(SamplingConfig):
    """Settings of random shooting."""

    candidates: Count = 192
    """Plans scored, the start plan among them."""


class RandomShooting(SamplingPlanner):
    """One iteration of plans around the middle of the box, the start plan and the proposals; returns the best one."""

    config_type = RandomShootingConfig

    def initial(
        self,
        start: Float[Tensor, "B H A"],
        proposals: Float[Tensor, "B M H A"] | None,
        generator: torch.Generator,
    ) -> SamplingState:
        """See `SamplingPlanner.initial`."""
        drawn = self.sampler.around_middle(len(start), self.config.candidates - 1, generator)
        return SamplingState(start, torch.zeros_like(start), (), join(start[:, None], drawn, proposals))

    def sample(self, state: SamplingState, iteration: int) -> Float[Tensor, "B N H A"]:
        """See `SamplingPlanner.sample`."""
        return join(state.kept)

    def update(
        self, state: SamplingState, candidates: Float[Tensor, "B N H A"], returns: Float[Tensor, "B N"]
    ) -> SamplingState:
        """The best candidate."""
        best, value = best_of(candidates, returns, 1)
        return state.updated(elites=best, elite_returns=value)

    def result(self, search: SearchState, state: SamplingState) -> Plan:
        """The best plan."""
        return search.settle_on_best(state.std)
