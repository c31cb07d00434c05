"""iCEM planner.

CEM with coloured noise, a population that shrinks from one iteration to the next, and elites that stay among the
candidates; it returns the best plan that was ever scored.

Pinneri et al. (2020), "Sample-efficient cross-entropy method for real-time planning", Algorithm 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge
from jaxtyping import Float
from torch import Tensor

from planners.base import Bounds, Plan
from planners.cem import CEM, CEMConfig
from planners.sampling import Count, SamplingState, Share
from planners.search import SearchState, join


@dataclass(frozen=True)
class ICEMConfig(CEMConfig):
    """Settings of iCEM."""

    candidates: Count = 48
    """Plans drawn in the first iteration."""
    elites: Annotated[int, Ge(2)] = 12
    """Best plans to which the Gaussian is refitted."""
    keep: Share = 0.3
    """Share of the elites that stays among the candidates of the next iteration."""
    shrink: Annotated[float, Ge(1)] = 1.25
    """Factor by which the population shrinks from one iteration to the next."""


class ICEM(CEM):
    """Batched iCEM.

    The start plan and the proposals are candidates of the first iteration, and stay as long as they are among the best;
    the last mean is scored after the last one, and the next search begins at it. The elites of the plan are those that
    another iteration would have kept: shifted, they are meant to be proposed again.
    """

    config_type = ICEMConfig

    def __init__(self, config: ICEMConfig, bounds: Bounds) -> None:
        super().__init__(config, bounds)
        sizes = (round(config.candidates * config.shrink**-i) for i in range(config.iterations))
        self._sizes = [max(2 * config.elites, size) for size in sizes]
        self._n_kept = max(1, round(config.keep * config.elites))

    def initial(
        self,
        start: Float[Tensor, "B H A"],
        proposals: Float[Tensor, "B M H A"] | None,
        generator: torch.Generator,
    ) -> SamplingState:
        """See `SamplingPlanner.initial`."""
        return super().initial(start, join(start[:, None], proposals), generator)

    def noise(self, batch: int, generator: torch.Generator) -> Sequence[Float[Tensor, "B N H A"]]:
        """See `SamplingPlanner.noise`."""
        return self.sampler.draw(batch, sum(self._sizes), generator=generator).split(self._sizes, dim=1)

    def update(
        self, state: SamplingState, candidates: Float[Tensor, "B N H A"], returns: Float[Tensor, "B N"]
    ) -> SamplingState:
        """Refit the Gaussian and keep some elites."""
        state = super().update(state, candidates, returns)
        assert state.elites is not None
        return state.updated(kept=state.elites[:, : self._n_kept])

    def result(self, search: SearchState, state: SamplingState) -> Plan:
        """The best plan seen; the last mean, which is smoother than any plan drawn, is scored for it."""
        for _ in search.rounds(1):
            search.consider(state.mean, search.score(state.mean[:, None])[:, 0])
        return search.settle_on_best(state.std, state.kept, state.mean)
