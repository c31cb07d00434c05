"""Pooled episodes of one environment on disk: append-only shards that survive any kill.

    DATA/dataset.json                       what every episode shares: environment, columns, version
    DATA/shards/KEY.DIGEST.safetensors      the episodes of one unit of work, never changed again
    DATA/shards/KEY.json                    its record: checksum and size; a shard without one does not count

Files are only ever added, each in one atomic step, and no two of them are written together, so any
number of processes may append at once. Everything is read in the order of the keys.
"""

from mbtransfer.dataset.files import Damage
from mbtransfer.dataset.manifest import Header
from mbtransfer.dataset.pool import Pool
from mbtransfer.dataset.shard import EpisodeRecord
from mbtransfer.dataset.store import DamagedShardWarning, Dataset
from mbtransfer.dataset.transitions import Transitions

__all__ = [
    "Damage",
    "DamagedShardWarning",
    "Dataset",
    "EpisodeRecord",
    "Header",
    "Pool",
    "Transitions",
]
