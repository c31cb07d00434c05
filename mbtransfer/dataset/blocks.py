"""A pool in blocks of a few megabytes, for data larger than memory: read one by one, each in one go."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from mbtransfer.dataset.pool import Pool
from mbtransfer.dataset.shard import Shard

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
