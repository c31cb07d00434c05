"""Cross-entropy method planner.

Each iteration refits a Gaussian over plans to its best candidates, the elites E:

    mean <- m * mean + (1 - m) * average of E
    std  <- m * std  + (1 - m) * standard deviation of E

Rubinstein (1999); as a planner over learned models, Chua et al. (2018), PETS, section 5.
"""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge
from jaxtyping import Float
from torch import Tensor

from planners.sampling import Count, SamplingConfig, SamplingPlanner, SamplingState, Share
from planners.search import best_of


@dataclass(frozen=True)
class CEMConfig(SamplingConfig):
    """Settings of the cross-entropy method."""

    candidates: Count = 48
    """Plans drawn in each iteration."""
    iterations: Count = 3
    """Times the Gaussian is refitted."""
    elites: Annotated[int, Ge(2)] = 5
    """Best plans to which it is refitted."""
    momentum: Share = 0.1
    """Share of the old mean and spread that an iteration keeps."""


class CEM(SamplingPlanner):
    """Batched cross-entropy method; returns the last mean. Proposals are candidates in every iteration."""

    config_type = CEMConfig

    def update(
        self, state: SamplingState, candidates: Float[Tensor, "B N H A"], returns: Float[Tensor, "B N"]
    ) -> SamplingState:
        """Refit the Gaussian to the elites."""
        elites, values = best_of(candidates, returns, self.config.elites)
        mean = state.mean.lerp(elites.mean(dim=1), 1 - self.config.momentum)
        std = state.std.lerp(elites.std(dim=1), 1 - self.config.momentum)
        return state.updated(mean=mean, std=std, elites=elites, elite_returns=values)
