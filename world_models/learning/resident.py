"""Training data in memory, and batches gathered from them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from world_models.errors import ModelError
from world_models.learning.rows import check_weights, draw_rows
from world_models.learning.source import Batch, Epoch, Source, Step
from world_models.storage import digest
from world_models.transitions import Transitions


@dataclass(frozen=True, eq=False)
class Resident:
    """Transitions in memory, on the device of the model.

    Attributes:
        data: all of them.
        weights: how often each is drawn, see `replay_weights`; None for shuffles.
        bootstrap: each member draws from its own bootstrap sample.
    """

    data: Transitions
    weights: Float[Tensor, " N"] | None = None
    bootstrap: bool = False

    def __len__(self) -> int:
        """Transitions."""
        return len(self.data)

    def sample(self) -> Transitions:
        """All of them."""
        return self.data

    def batches(self, epoch: Epoch) -> Iterator[Batch]:
        """Each member's rows, in its own order."""
        bags = epoch.bags(len(self)) if self.bootstrap else None
        count = epoch.updates * epoch.batch
        rows = draw_rows(len(self), count, epoch.generator(), self.weights, bags, epoch.members)
        follows = self._follows if epoch.steps > 1 else None
        return gather(self.data, epoch.wanted(rows), epoch.batch, epoch.steps, follows)

    def digest(self) -> str:
        """Of the transitions and their weights."""
        weights = {} if self.weights is None else {"weights": self.weights}
        return digest({**vars(self.data), **weights})

    @cached_property
    def _follows(self) -> Bool[Tensor, " N"]:
        return self.data.follows()


def as_source(
    train: Transitions | Source, weights: Float[Tensor, " N"] | None, bootstrap: bool, device: torch.device
) -> Source:
    """Transitions become a source on the device; another source is one already.

    Raises:
        ModelError: weights that cannot be drawn by; or weights or bootstrap for another source.
    """
    if isinstance(train, Transitions):
        if weights is not None:
            check_weights(weights, len(train))
        return Resident(train.to(device), None if weights is None else weights.cpu(), bootstrap)
    if weights is not None or bootstrap:
        raise ModelError("weights and bootstrap need transitions in memory, not another source")
    return train


def gather(
    data: Transitions,
    rows: Int[Tensor, "E N"],
    batch: int,
    steps: int = 1,
    follows: Bool[Tensor, " rows"] | None = None,
) -> Iterator[Batch]:
    """N // batch batches: the transitions at `rows`, and the `steps` - 1 after each of them.

    More than one step needs `follows`, see `Transitions.follows`.
    """
    rows = rows.to(data.obs.device)
    for first in range(0, rows.shape[1] - batch + 1, batch):
        at = rows[:, first : first + batch]
        later = (Step(*_take(data, at + k, follows)) for k in range(1, steps))
        yield Step(*_take(data, at)), *later


def _take(data: Transitions, rows: Int[Tensor, "E B"], follows: Tensor | None = None) -> Iterator[Tensor]:
    """The columns at these rows, the first again after the last."""
    # index_select of a flat list is three times as fast as indexing with a matrix.
    flat = rows.flatten() if follows is None else rows.flatten() % len(data)
    yield from (x.index_select(0, flat).unflatten(0, rows.shape) for x in vars(data).values())
    if follows is not None:
        yield follows.index_select(0, flat).view(*rows.shape, 1)
