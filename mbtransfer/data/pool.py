"""A selection of episodes as transitions, segments or memory-sized blocks."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from mbtransfer.data.columns import pool_info
from mbtransfer.data.episode import Episode
from mbtransfer.data.header import Header
from mbtransfer.data.shards import EpisodeMetadata, Shard
from mbtransfer.errors import UserError


@dataclass(frozen=True, eq=False)
class TransitionArrays:
    """B control steps side by side, in memory and writable.

    Attributes:
        obs: observation before each step.
        actions: action of each step.
        next_obs: observation after it.
        state: simulator state before each step.
        next_state: simulator state after it.
        terminated: the environment ended the episode with this step.
        episode: position of the episode among the pool's `records`.
        step: number of the step within its episode.
    """

    obs: Float32[np.ndarray, "B O"]
    actions: Float32[np.ndarray, "B A"]
    next_obs: Float32[np.ndarray, "B O"]
    state: Float64[np.ndarray, "B S"]
    next_state: Float64[np.ndarray, "B S"]
    terminated: Bool[np.ndarray, " B"]
    episode: Int64[np.ndarray, " B"]
    step: Int64[np.ndarray, " B"]

    def __len__(self) -> int:
        """Count the steps B."""
        return len(self.actions)


class Rows(NamedTuple):
    """Where each of the B transitions of a pool lies."""

    shard: Int64[np.ndarray, " B"]
    episode: Int64[np.ndarray, " B"]
    step: Int64[np.ndarray, " B"]
    obs: Int64[np.ndarray, " B"]
    action: Int64[np.ndarray, " B"]
    terminated: Bool[np.ndarray, " B"]


def find_rows(parts: Sequence[tuple[Shard, Sequence[int]]]) -> Rows:
    """Find every transition of the chosen episodes of each shard."""
    records = [shard.records[index] for shard, chosen in parts for index in chosen]
    steps = np.array([record.steps for record in records], np.int64)
    step = np.arange(steps.sum()) - np.repeat(np.cumsum(steps) - steps, steps)
    number = np.repeat(np.arange(len(parts)), [len(chosen) for _, chosen in parts])
    obs_start = np.concatenate([shard.obs_starts[list(chosen)] for shard, chosen in parts])
    action_start = np.concatenate([shard.action_starts[list(chosen)] for shard, chosen in parts])
    terminated = np.array([record.terminated for record in records], bool)
    return Rows(
        shard=np.repeat(number, steps),
        episode=np.repeat(np.arange(len(steps)), steps),
        step=step,
        obs=np.repeat(obs_start, steps) + step,
        action=np.repeat(action_start, steps) + step,
        terminated=np.repeat(terminated, steps) & (step == np.repeat(steps - 1, steps)),
    )


def gather(shards: Sequence[Shard], rows: Rows, sizes: tuple[int, int, int]) -> TransitionArrays:
    """Copy the transitions at `rows` into memory, reading each shard once; `sizes` are O, A and S."""
    batch = len(rows.shard)
    obs, next_obs = (np.empty((batch, sizes[0]), np.float32) for _ in range(2))
    actions = np.empty((batch, sizes[1]), np.float32)
    state, next_state = (np.empty((batch, sizes[2]), np.float64) for _ in range(2))
    order = np.argsort(rows.shard, kind="stable")
    bounds = np.searchsorted(rows.shard[order], np.arange(len(shards) + 1))
    for number in np.flatnonzero(np.diff(bounds)).tolist():
        arrays = shards[number].arrays
        here = order[bounds[number] : bounds[number + 1]]
        before = rows.obs[here]
        obs[here], next_obs[here] = arrays.obs[before], arrays.obs[before + 1]
        state[here], next_state[here] = arrays.state[before], arrays.state[before + 1]
        actions[here] = arrays.actions[rows.action[here]]
    ends = rows.terminated.copy(), rows.episode.copy(), rows.step.copy()
    return TransitionArrays(obs, actions, next_obs, state, next_state, *ends)


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
    def records(self) -> tuple[EpisodeMetadata, ...]:
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

    def where(self, keep: Callable[[EpisodeMetadata], bool]) -> "Pool":
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

    def transitions(self) -> TransitionArrays:
        """Copy every transition into memory, about B (8 O + 4 A + 16 S) bytes.

        Raises:
            UserError: the pool is empty.
        """
        return self._gather(self._rows)

    def take(self, rows: Int64[np.ndarray, " B"]) -> TransitionArrays:
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
        return pool_info(self.header, self.parts)

    def _gather(self, rows: Rows) -> TransitionArrays:
        sizes = len(self.header.observation), len(self.header.action), self.header.state_size
        return gather([shard for shard, _ in self.parts], rows, sizes)

    @cached_property
    def _rows(self) -> Rows:
        if not self.parts:
            raise UserError(f"{self.name} holds no episodes to learn from; collect some first")
        return find_rows(self.parts)


def _draw(record: EpisodeMetadata, seed: int) -> float:
    """Draw a number in [0, 1) that depends on nothing but the episode's place and the seed."""
    digest = hashlib.sha256(f"{seed}:{record.key}:{record.index}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


ROWS = 2048
"""Control steps from which on a block is full: large enough to be read at the speed of the disk."""


class Block(NamedTuple):
    """Neighbouring episodes of one shard."""

    shard: Shard
    episodes: tuple[int, ...]
    steps: int


class Moves(NamedTuple):
    """Control steps without the simulator's state, in memory."""

    obs: Float32[np.ndarray, "B O"]
    actions: Float32[np.ndarray, "B A"]
    next_obs: Float32[np.ndarray, "B O"]


def blocks(pool: Pool, rows: int = ROWS) -> Iterator[Block]:
    """Every episode of a pool, in order; only the last block of a shard may hold fewer than `rows` steps."""
    for shard, chosen in pool.parts:
        episodes, steps = list[int](), 0
        for index in chosen:
            episodes.append(index)
            steps += shard.records[index].steps
            if steps >= rows or index == chosen[-1]:
                yield Block(shard, tuple(episodes), steps)
                episodes, steps = [], 0


def read(wanted: Sequence[Block]) -> Moves:
    """Copy the transitions of at least one block into memory."""
    episodes = [block.shard.episode(index) for block in wanted for index in block.episodes]
    return Moves(
        np.concatenate([episode.obs[:-1] for episode in episodes]),
        np.concatenate([episode.actions for episode in episodes]),
        np.concatenate([episode.obs[1:] for episode in episodes]),
    )
