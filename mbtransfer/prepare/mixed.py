"""Policies and values of several tasks in one batch: each episode has those of its own task."""

from collections.abc import Callable, Sequence

from jaxtyping import Float, Int
from torch import Tensor

from mbtransfer.prepare.prepared import Prepared


class Mixed:
    """Acts and judges for B episodes, whose candidates lie side by side.

    Args:
        prepared: of each task; all of one discount.
        which: the task of each episode.
    """

    def __init__(self, prepared: Sequence[Prepared], which: Int[Tensor, " B"]) -> None:
        self._prepared, self._batch = prepared, len(which)
        self._rows = [(which == task).nonzero()[:, 0] for task in range(len(prepared))]
        self.discount = prepared[0].discount

    def policy(self, obs: Float[Tensor, "*b R O"]) -> Float[Tensor, "*b R A"]:
        """What to do in each state; R is a multiple of B."""
        size = len(self._prepared[0].bounds.low)
        return self._each(obs, obs.new_empty(*obs.shape[:-1], size), lambda one: one.policy)

    def value(self, obs: Float[Tensor, "*b R O"]) -> Float[Tensor, "*b R"]:
        """The discounted reward still to come; R is a multiple of B."""

        def column(one: Prepared) -> Callable[[Tensor], Tensor]:
            return lambda states: one.value(states)[..., None]

        return self._each(obs, obs.new_empty(*obs.shape[:-1], 1), column)[..., 0]

    def _each(
        self, obs: Tensor, out: Tensor, what: Callable[[Prepared], Callable[[Tensor], Tensor]]
    ) -> Tensor:
        """Fill `out` task by task."""
        states, found = (x.unflatten(-2, (self._batch, -1)) for x in (obs, out))
        for one, rows in zip(self._prepared, self._rows, strict=True):
            if len(rows):
                found.index_copy_(-3, rows, what(one)(states.index_select(-3, rows)))
        return found.flatten(-3, -2)
