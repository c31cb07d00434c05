"""Batches of training data, from memory or streamed from disk."""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from world_models.checkpoint.storage import digest
from world_models.errors import ModelError
from world_models.layout import Layout
from world_models.normalizer import moved
from world_models.transitions import Transitions


class Step(NamedTuple):
    """One control step of E x B stretches; `is_continuation` says which begin where the step before ended."""

    obs: Float[Tensor, "E B O"]
    actions: Float[Tensor, "E B A"]
    next_obs: Float[Tensor, "E B O"]
    is_continuation: Bool[Tensor, "E B 1"] | None = None


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

    def bootstrap_rows(self, size: int) -> Int[Tensor, "E N"]:
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
class BatchSource(Protocol):
    """Training data, however large."""

    def __len__(self) -> int:
        """Transitions."""

    def sample(self) -> Transitions:
        """Transitions to fit scales on: all of them, or as many as memory holds."""

    def batches(self, epoch: Epoch) -> Iterator[Batch]:
        """An epoch's batches, on the device of the model: a function of the data and of `epoch` alone."""

    def digest(self) -> str:
        """Checksum of all that the batches depend on."""


MOST = 20.0
"""Times that a transition is drawn, at most, for one time without weights: more would be learned by heart."""


def draw_rows(
    size: int,
    count: int,
    generator: torch.Generator,
    weights: Float[Tensor, " N"] | None = None,
    bootstrap_rows: Int[Tensor, "E N"] | None = None,
    members: int = 5,
) -> Int[Tensor, "E count"]:
    """For each member, which of `size` transitions to train on, drawn on the CPU.

    Each member has its own shuffle, begun anew when it is through; with `weights` it draws with replacement,
    each row as often as its weight says. With `bootstrap_rows` (see `draw_bags`) member e sees the rows bags[e] only.
    """
    drawn = []
    for member in range(members):
        bag = None if bootstrap_rows is None else bootstrap_rows[member]
        if weights is None:
            shuffles = [torch.randperm(size, generator=generator) for _ in range(-(-count // size))]
            rows = torch.cat(shuffles)[:count]
        else:
            upto = (weights if bag is None else weights[bag]).double().cumsum(0)
            point = torch.rand(count, dtype=torch.double, generator=generator) * upto[-1]
            rows = torch.searchsorted(upto, point, right=True).clamp(max=size - 1)
        drawn.append(rows if bag is None else bag[rows])
    return torch.stack(drawn)


def draw_bags(size: int, members: int, generator: torch.Generator) -> Int[Tensor, "E N"]:
    """A bootstrap sample of the rows for each member (Breiman 1996, bagging; PETS section 4)."""
    return torch.randint(size, (members, size), generator=generator)


def replay_weights(sizes: Sequence[int], shares: Sequence[float]) -> Float[Tensor, " N"]:
    """Row weights with which part i of joined data makes `shares[i]` of each batch, whatever its size.

    Raises:
        ModelError: not one share for each part, an empty part, or shares that are no mix.
    """
    if len(sizes) != len(shares) or min(sizes, default=0) < 1:
        raise ModelError(f"a replay mix needs one share for each part, not {shares} for sizes {sizes}")
    if min(shares) < 0 or not 0 < sum(shares) < math.inf:
        raise ModelError(f"shares of a replay mix must be positive and finite, not {shares}")
    return torch.cat([torch.full((n,), share / n) for n, share in zip(sizes, shares, strict=True)])


def moving_weights(data: Transitions, layout: Layout, share: float) -> Float[Tensor, " N"]:
    """Row weights with which `share` of each batch are transitions in which an object moves, each object as often.

    Most fixtures rest most of the time, and some move in one transition of a thousand: drawn as they come, those
    would hardly be learned. A row is never drawn more than `MOST` times as often as without weights.

    Raises:
        ModelError: no share, or nothing of which it could be.
    """
    if not 0 < share <= 1:
        raise ModelError(f"the share of moving transitions must be above 0 and at most 1, not {share}")
    if not layout.objects:
        raise ModelError("a share of moving transitions needs objects that move; there are none here")
    moves = moved(data.obs, data.next_obs)
    rows = torch.stack([moves[:, list(body.positions)].any(dim=1) for body in layout.objects]).float()
    each = (rows / rows.sum(dim=1, keepdim=True).clamp(min=1)).sum(dim=0) * len(data) / len(layout.objects)
    return ((1 - share) + share * each).clamp(max=MOST)


def check_weights(weights: Tensor, rows: int) -> None:
    """See that rows can be drawn by weights.

    Raises:
        ModelError: not one finite weight for each row, or nothing to draw.
    """
    if tuple(weights.shape) != (rows,):
        raise ModelError(f"weights have shape {tuple(weights.shape)}, expected ({rows},): one per transition")
    if not bool(weights.isfinite().all()) or float(weights.min()) < 0 or float(weights.sum()) <= 0:
        raise ModelError("weights of transitions must be finite, none below zero and not all zero")


@dataclass(frozen=True, eq=False)
class InMemorySource:
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
        bootstrap_rows = epoch.bootstrap_rows(len(self)) if self.bootstrap else None
        count = epoch.updates * epoch.batch
        rows = draw_rows(len(self), count, epoch.generator(), self.weights, bootstrap_rows, epoch.members)
        is_continuation = self._follows if epoch.steps > 1 else None
        return gather(self.data, epoch.wanted(rows), epoch.batch, epoch.steps, is_continuation)

    def digest(self) -> str:
        """Of the transitions and their weights."""
        weights = {} if self.weights is None else {"weights": self.weights}
        return digest({**vars(self.data), **weights})

    @cached_property
    def _follows(self) -> Bool[Tensor, " N"]:
        return self.data.is_continuation()


def as_source(
    train: Transitions | BatchSource,
    weights: Float[Tensor, " N"] | None,
    bootstrap: bool,
    device: torch.device,
) -> BatchSource:
    """Transitions become a source on the device; another source is one already.

    Raises:
        ModelError: weights that cannot be drawn by; or weights or bootstrap for another source.
    """
    if isinstance(train, Transitions):
        if weights is not None:
            check_weights(weights, len(train))
        return InMemorySource(train.to(device), None if weights is None else weights.cpu(), bootstrap)
    if weights is not None or bootstrap:
        raise ModelError("weights and bootstrap need transitions in memory, not another source")
    return train


def gather(
    data: Transitions,
    rows: Int[Tensor, "E N"],
    batch: int,
    steps: int = 1,
    is_continuation: Bool[Tensor, " rows"] | None = None,
) -> Iterator[Batch]:
    """N // batch batches: the transitions at `rows`, and the `steps` - 1 after each of them.

    More than one step needs `is_continuation`, see `Transitions.is_continuation`.
    """
    rows = rows.to(data.obs.device)
    for first in range(0, rows.shape[1] - batch + 1, batch):
        at = rows[:, first : first + batch]
        later = (Step(*_take(data, at + k, is_continuation)) for k in range(1, steps))
        yield Step(*_take(data, at)), *later


def _take(
    data: Transitions, rows: Int[Tensor, "E B"], is_continuation: Tensor | None = None
) -> Iterator[Tensor]:
    """The columns at these rows, the first again after the last."""
    # index_select of a flat list is three times as fast as indexing with a matrix.
    flat = rows.flatten() if is_continuation is None else rows.flatten() % len(data)
    yield from (x.index_select(0, flat).unflatten(0, rows.shape) for x in vars(data).values())
    if is_continuation is not None:
        yield is_continuation.index_select(0, flat).view(*rows.shape, 1)


WINDOW = 2**16
"""Transitions in memory from which batches are drawn; as many again are being read. Whole epochs of usual
length, so that little is read that is not trained on."""

SAMPLE = 2**17
"""Transitions on which scales are fitted."""


@dataclass(frozen=True, eq=False)
class Streamed:
    """Transitions on disk, in parts that can be read one by one (a `source.BatchSource`).

    An epoch reads parts in random order, gathers them in windows, and shuffles each window for each member. So
    the rows of a batch are of many parts, if parts are small beside a window.

    Attributes:
        sizes: transitions in each part, none empty.
        read: the parts of these numbers, in this order, on the CPU; called by another thread.
        checksum: of all that `read` can return.
        device: where batches are wanted.
        window: transitions that are shuffled together.
    """

    sizes: Sequence[int]
    read: Callable[[Sequence[int]], Transitions]
    checksum: str
    device: torch.device | str = "cpu"
    window: int = WINDOW

    def __len__(self) -> int:
        """Transitions in all parts."""
        return sum(self.sizes)

    def sample(self, rows: int = SAMPLE) -> Transitions:
        """Random parts of at least so many transitions, in the order of the data; all, if there are no more."""
        chosen, _ = self._window(self._order(torch.Generator().manual_seed(0)), rows)
        return self.read(sorted(chosen)).to(self.device)

    def batches(self, epoch: Epoch) -> Iterator[Batch]:
        """Window after window, the next one being read meanwhile."""
        generator, missing = epoch.generator(), epoch.updates
        order = self._order(generator)
        with ThreadPoolExecutor(max_workers=1) as reader:
            chosen, rows = self._window(order, self.window)
            reading = reader.submit(self.read, chosen)
            while missing:
                data, updates = reading.result(), min(missing, max(1, rows // epoch.batch))
                missing -= updates
                if missing:
                    chosen, rows = self._window(order, self.window)
                    reading = reader.submit(self.read, chosen)
                yield from self._shuffled(data, updates, epoch, generator)

    def digest(self) -> str:
        """Of the data, and of how they are cut."""
        cut = f"{self.checksum} {list(self.sizes)} {self.window}"
        return hashlib.sha256(cut.encode()).hexdigest()

    def _shuffled(
        self, data: Transitions, updates: int, epoch: Epoch, generator: torch.Generator
    ) -> Iterator[Batch]:
        """Updates on one window."""
        rows = draw_rows(len(data), updates * epoch.batch, generator, members=epoch.members)
        data, rows = data.to(self.device), epoch.wanted(rows)
        return gather(
            data, rows, epoch.batch, epoch.steps, data.is_continuation() if epoch.steps > 1 else None
        )

    def _order(self, generator: torch.Generator) -> Iterator[int]:
        """Parts in random order, again and again."""
        while True:
            yield from torch.randperm(len(self.sizes), generator=generator).tolist()

    def _window(self, order: Iterator[int], rows: int) -> tuple[list[int], int]:
        """The next parts, until they hold so many transitions or all there are, and how many they hold."""
        chosen, held, enough = list[int](), 0, min(rows, len(self))
        while held < enough:
            chosen.append(next(order))
            held += self.sizes[chosen[-1]]
        return chosen, held
