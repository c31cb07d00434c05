"""Pooled episodes of one environment on disk: append-only shards that survive any kill.

    DATA/dataset.json                       what every episode shares: environment, columns, version
    DATA/shards/KEY.DIGEST.safetensors      the episodes of one unit of work, never changed again
    DATA/shards/KEY.json                    its record: checksum and size; a shard without one does not count

Files are only ever added, each in one atomic step, and no two of them are written together, so any
number of processes may append at once. Everything is read in the order of the keys.
"""

from mbtransfer.data.dataset import DamagedShardWarning, Dataset
from mbtransfer.data.header import Header
from mbtransfer.data.pool import Pool, TransitionArrays
from mbtransfer.data.shards import Damage, EpisodeMetadata

__all__ = [
    "Damage",
    "DamagedShardWarning",
    "Dataset",
    "EpisodeMetadata",
    "Header",
    "Pool",
    "TransitionArrays",
]
