"""What a model is fitted on: a pool in memory, or read from its shards over and over where memory is too small."""

import os
from collections.abc import Sequence
from functools import reduce

import torch

from mbtransfer.dataset import Dataset, Pool
from mbtransfer.dataset.blocks import Block, blocks, read
from mbtransfer.errors import UserError
from mbtransfer.trust.coverage import Coverage
from tasks.spec import EnvSpec
from world_models.learning.stream import Streamed
from world_models.transitions import Transitions

HELD_OUT = 2**15
"""Held-out transitions that judge a streamed training: as many as are quickly gone through after each epoch."""

ROOM = 0.5
"""Share of the machine's memory that data may fill; larger ones are streamed."""


def exceeds_memory(pool: Pool) -> bool:
    """Whether the transitions of a pool are too many to be kept in memory."""
    row = 4 * (2 * len(pool.header.observation) + len(pool.header.action))
    return pool.steps * row > ROOM * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def in_memory(pool: Pool) -> Transitions:
    """All transitions of a pool.

    Raises:
        UserError: the pool is empty.
    """
    parts = list(blocks(pool))
    if not parts:
        raise UserError(f"{pool.name} holds no episodes to learn from; collect some first")
    return _read(parts)


def streamed(pool: Pool, checksum: str, device: torch.device) -> Streamed:
    """The same, block by block from the mapped shards; `checksum` is that of the dataset."""
    parts = list(blocks(pool))
    return Streamed(
        [part.steps for part in parts], lambda chosen: _read([parts[k] for k in chosen]), checksum, device
    )


def coverage(spec: EnvSpec, dataset: Dataset) -> Coverage:
    """Where all episodes of a dataset have been, counted block by block."""
    moves = (read([part]) for part in blocks(dataset.pool))
    return reduce(Coverage.plus, (Coverage.of(spec, part.obs, part.next_obs) for part in moves))


def _read(parts: Sequence[Block]) -> Transitions:
    return Transitions(*map(torch.from_numpy, read(parts)))
