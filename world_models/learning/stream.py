"""Training data larger than memory: random parts are read ahead while the parts before them are trained on."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch

from world_models.learning.resident import gather
from world_models.learning.rows import draw_rows
from world_models.learning.source import Batch, Epoch
from world_models.transitions import Transitions

WINDOW = 2**16
"""Transitions in memory from which batches are drawn; as many again are being read. Whole epochs of usual
length, so that little is read that is not trained on."""

SAMPLE = 2**17
"""Transitions on which scales are fitted."""


@dataclass(frozen=True, eq=False)
class Streamed:
    """Transitions on disk, in parts that can be read one by one (a `source.Source`).

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
        return gather(data, rows, epoch.batch, epoch.steps, data.follows() if epoch.steps > 1 else None)

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
