"""Where the batches of a training come from: data that stay in memory, or anything that keeps the protocol."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from world_models.rows import draw_bags, draw_rows
from world_models.storage import digest
from world_models.transitions import Transitions


class Step(NamedTuple):
    """One control step of E x B stretches; `follows` says which begin where the step before ended."""

    obs: Float[Tensor, "E B O"]
    actions: Float[Tensor, "E B A"]
    next_obs: Float[Tensor, "E B O"]
    follows: Bool[Tensor, "E B 1"] | None = None


Batch = tuple[Step, ...]
"""The steps of E x B stretches, first to last; one step unless the loss follows roll-outs."""


@dataclass(frozen=True)
class Epoch:
    """What a training asks of a source: an epoch's updates, each with its own rows for each member."""

    seed: int
    """Of the training."""
    number: int
    """Of the epoch, from 1."""
    members: int
    updates: int
    batch: int
    """Stretches per member and update."""
    steps: int = 1
    """Control steps of each stretch."""

    def generator(self) -> torch.Generator:
        """A function of seed and number alone, so that a rerun need save nothing."""
        return self._generator(self.number)

    def bags(self, size: int) -> Int[Tensor, "E N"]:
        """Each member's bootstrap sample of the rows, the same in all epochs."""
        return draw_bags(size, self.members, self._generator(0))

    def _generator(self, number: int) -> torch.Generator:
        first = torch.Generator().manual_seed(self.seed)
        return torch.Generator().manual_seed(
            int(torch.randint(2**62, (number + 1,), generator=first)[number])
        )


@runtime_checkable
class Source(Protocol):
    """Training data, however large."""

    def __len__(self) -> int:
        """Transitions."""

    def sample(self) -> Transitions:
        """Transitions to fit scales on: all of them, or as many as memory holds."""

    def batches(self, epoch: Epoch) -> Iterator[Batch]:
        """An epoch's batches, on the device of the model: a function of the data and of `epoch` alone."""

    def digest(self) -> str:
        """Checksum of all that the batches depend on."""


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
        return gather(self.data, rows, epoch.batch, epoch.steps, follows)

    def digest(self) -> str:
        """Of the transitions and their weights."""
        weights = {} if self.weights is None else {"weights": self.weights}
        return digest({**vars(self.data), **weights})

    @cached_property
    def _follows(self) -> Bool[Tensor, " N"]:
        return self.data.follows()


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
