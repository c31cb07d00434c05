from __future__ import annotations

from itertools import pairwise

import numpy as np

from mbtransfer.data import Dataset
from mbtransfer.data.pool import blocks, read


def test_blocks_are_the_whole_pool_in_order(dataset: Dataset) -> None:
    found, whole = read(list(blocks(dataset.pool))), dataset.transitions()
    assert np.array_equal(found.obs, whole.obs) and np.array_equal(found.next_obs, whole.next_obs)
    assert np.array_equal(found.actions, whole.actions)


def test_blocks_hold_whole_episodes_of_one_shard(dataset: Dataset) -> None:
    train, _ = dataset.split(0.3)
    parts = list(blocks(train, rows=100))
    assert sum(part.steps for part in parts) == train.steps
    assert all(part.steps == len(read([part]).actions) for part in parts)
    for part, after in pairwise(parts):
        assert part.steps >= 100 or part.shard is not after.shard
