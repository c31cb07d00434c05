"""A choice of episodes, read from the mapped shards: one by one, as transitions, or split in two."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Int64

from mbtransfer.dataset.manifest import Header
from mbtransfer.dataset.shard import EpisodeRecord, Shard
from mbtransfer.dataset.summary import describe
from mbtransfer.dataset.transitions import Rows, Transitions, find_rows, gather
from mbtransfer.episode import Episode
from mbtransfer.errors import UserError


@dataclass(frozen=True, eq=False)
class Pool:
    """Episodes of a dataset, in the order of their keys.

    Attributes:
        name: what messages call it (the dataset's path).
        header: what the columns mean.
        parts: each shard with the indices of its chosen episodes.
    """

    name: str
    header: Header
    parts: tuple[tuple[Shard, tuple[int, ...]], ...]

    def __len__(self) -> int:
        """Count the episodes."""
        return sum(len(chosen) for _, chosen in self.parts)

    @cached_property
    def records(self) -> tuple[EpisodeRecord, ...]:
        """What is known of each episode."""
        return tuple(shard.records[index] for shard, chosen in self.parts for index in chosen)

    @property
    def steps(self) -> int:
        """Control steps of all episodes together."""
        return sum(record.steps for record in self.records)

    def episodes(self) -> Iterator[Episode]:
        """Yield each episode, mapped from its file: only what is touched is read."""
        for shard, chosen in self.parts:
            for index in chosen:
                yield shard.episode(index)

    def where(self, keep: Callable[[EpisodeRecord], bool]) -> "Pool":
        """Choose the episodes whose record `keep` accepts."""
        parts = ((shard, tuple(i for i in chosen if keep(shard.records[i]))) for shard, chosen in self.parts)
        return Pool(self.name, self.header, tuple(part for part in parts if part[1]))

    def split(self, valid_fraction: float = 0.1, seed: int = 0) -> tuple["Pool", "Pool"]:
        """Split whole episodes into training and validation.

        Each episode's side is drawn from its key and index alone, so more data never moves an episode.
        The one exception keeps tiny pools usable: a side that drew nobody gets the episode nearest to it.

        Raises:
            UserError: the fraction is not in [0, 1), or there are not two episodes to split.
        """
        if not 0.0 <= valid_fraction < 1.0:
            raise UserError(f"the validation fraction must be at least 0 and below 1, not {valid_fraction}")
        if len(self) < (2 if valid_fraction else 1):
            raise UserError(f"{self.name} holds {len(self)} episodes, too few to split; collect more")
        draws = {(r.key, r.index): _draw(r, seed) for r in self.records}
        ranked = sorted(draws, key=draws.__getitem__)
        valid = {place for place in ranked if draws[place] < valid_fraction}
        if valid_fraction and not valid:
            valid = {ranked[0]}
        elif len(valid) == len(ranked):
            valid.remove(ranked[-1])
        train = self.where(lambda record: (record.key, record.index) not in valid)
        return train, self.where(lambda record: (record.key, record.index) in valid)

    def transitions(self) -> Transitions:
        """Copy every transition into memory, about B (8 O + 4 A + 16 S) bytes.

        Raises:
            UserError: the pool is empty.
        """
        return self._gather(self._rows)

    def take(self, rows: Int64[np.ndarray, " B"]) -> Transitions:
        """Copy the transitions with these numbers (0 to `steps` - 1), for data larger than memory.

        Raises:
            IndexError: a number is out of range.
            UserError: the pool is empty.
        """
        return self._gather(Rows(*(column[rows] for column in self._rows)))

    def info(self) -> dict[str, Any]:
        """Describe the content in plain values.

        `episodes`, `steps`, `diverged` (episodes that their simulation ended), `behaviours` with counts, and for
        every `observation` and `action` column its unit, range, smallest and largest value, and `coverage`: the
        share of twenty equal parts of its range that were visited. None stands where a range is unlimited or nothing
        was seen.
        """
        return describe(self.header, self.parts)

    def _gather(self, rows: Rows) -> Transitions:
        sizes = len(self.header.observation), len(self.header.action), self.header.state_size
        return gather([shard for shard, _ in self.parts], rows, sizes)

    @cached_property
    def _rows(self) -> Rows:
        if not self.parts:
            raise UserError(f"{self.name} holds no episodes to learn from; collect some first")
        return find_rows(self.parts)


def _draw(record: EpisodeRecord, seed: int) -> float:
    """Draw a number in [0, 1) that depends on nothing but the episode's place and the seed."""
    digest = hashlib.sha256(f"{seed}:{record.key}:{record.index}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56
