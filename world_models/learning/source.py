"""Where the batches of a training come from: what it asks for, epoch by epoch, and what it gets."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from world_models.learning.rows import draw_bags
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
    own: range | None = None
    """Members whose batches are wanted, None for all; rows are drawn for all, so that each has the same ones."""

    def generator(self) -> torch.Generator:
        """A function of seed and number alone, so that a rerun need save nothing."""
        return self._generator(self.number)

    def bags(self, size: int) -> Int[Tensor, "E N"]:
        """Each member's bootstrap sample of the rows, the same in all epochs."""
        return draw_bags(size, self.members, self._generator(0))

    def wanted(self, rows: Int[Tensor, "E N"]) -> Int[Tensor, "own N"]:
        """Those of the members that are asked for."""
        return rows if self.own is None else rows[self.own.start : self.own.stop]

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
