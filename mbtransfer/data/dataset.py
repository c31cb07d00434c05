"""The dataset folder: create, open, append."""

import hashlib
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from mbtransfer.data import shards as files
from mbtransfer.data.episode import Episode
from mbtransfer.data.header import Header, is_dataset, read_header, write_header
from mbtransfer.data.pool import Pool, TransitionArrays
from mbtransfer.data.shards import Damage, EpisodeMetadata, Shard
from mbtransfer.errors import UserError
from world_models.checkpoint.atomic import listed

SHARD_FOLDER = "shards"


class DamagedShardWarning(UserWarning):
    """Part of a dataset was left out because it is damaged."""


class Dataset:
    """Pooled episodes in a folder. Use `create`, `open` or `open_or_create`.

    Attributes:
        path: the folder.
        header: environment and columns.
    """

    def __init__(self, path: Path, header: Header, verify: bool) -> None:
        self.path = path
        self.header = header
        self._folder = path / SHARD_FOLDER
        self._verify = verify
        self._shards: dict[str, Shard] = {}
        self._damaged: dict[str, Damage] = {}
        self._pool: Pool | None = None

    @classmethod
    def create(cls, path: str | os.PathLike[str], header: Header) -> "Dataset":
        """Start an empty dataset.

        Raises:
            UserError: there is a dataset already, or the folder cannot be written.
        """
        folder = Path(path)
        if is_dataset(folder):
            raise UserError(f"{folder} is a dataset already; open it or choose another folder")
        write_header(folder, header)
        return cls.open(folder)

    @classmethod
    def open(cls, path: str | os.PathLike[str], verify: bool = True) -> "Dataset":
        """Open a dataset and check every shard; with `verify` false only sizes and layout.

        Damaged shards are left out, listed in `damaged` and named in one `DamagedShardWarning`.

        Raises:
            UserError: there is no dataset, or its header is damaged or of another version.
        """
        folder = Path(path)
        dataset = cls(folder, read_header(folder), verify)
        dataset._load()
        return dataset

    @classmethod
    def open_or_create(cls, path: str | os.PathLike[str], header: Header, verify: bool = True) -> "Dataset":
        """Open to append, or create: what a command that can be run again needs.

        Raises:
            UserError: the dataset there holds something else, or the folder cannot be written.
        """
        folder = Path(path)
        if not is_dataset(folder):
            write_header(folder, header)  # two processes at once write the same
        dataset = cls.open(folder, verify)
        difference = dataset.header.difference(header)
        if difference:
            raise UserError(f"{folder} holds {difference}; choose another folder")
        if not os.access(folder, os.W_OK):
            raise UserError(f"cannot write to {folder}; choose another folder or change its permissions")
        return dataset

    def __repr__(self) -> str:
        """One line for people."""
        name, damaged = self.header.env, f", {len(self.damaged)} damaged shards" if self.damaged else ""
        return f"Dataset({str(self.path)!r}: {name}, {len(self):,} episodes, {self.steps:,} steps{damaged})"

    @property
    def damaged(self) -> list[Damage]:
        """Shards that were left out, each with the name of its file and the reason."""
        return [self._damaged[key] for key in sorted(self._damaged)]

    @property
    def digest(self) -> str:
        """Checksum of all data in it, the same for the same data in whatever order it came."""
        lines = (f"{key} {self._shards[key].sha256}\n" for key in self.keys())
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def keys(self) -> list[str]:
        """Finished units of work, sorted: those found at opening and those appended or met since."""
        return sorted(self._shards)

    def __contains__(self, key: object) -> bool:
        """Whether a unit of work is finished, by this process or by another. A damaged one is not."""
        if not isinstance(key, str) or not files.KEY_PATTERN.fullmatch(key):
            return False
        if key in self._shards:
            return True
        return files.record_path(self._folder, key).exists() and self._look(key)

    def append(self, episodes: Sequence[Episode], key: str) -> bool:
        """Add the episodes of one unit of work. True if written, False if `key` was finished already.

        When it returns they are on the disk. A damaged shard of that key is replaced.

        Raises:
            UserError: a key that cannot name a file, no episodes, sizes that differ from the header,
                NaN or infinity, an unwritable folder or a full disk. Nothing has changed then.
        """
        files.check_key(key)
        refuse_unfit(episodes, self.header)
        if key in self:
            return False
        files.write_shard(self._folder, key, episodes)
        if not self._look(key):
            name, reason = self._damaged[key]
            raise UserError(f"{name} came out damaged: {reason}; check the disk")
        return True

    @property
    def pool(self) -> Pool:
        """All readable episodes, sorted by key and then by place in the shard."""
        if self._pool is None:
            parts = ((self._shards[key], tuple(range(len(self._shards[key].records)))) for key in self.keys())
            self._pool = Pool(str(self.path), self.header, tuple(parts))
        return self._pool

    def __len__(self) -> int:
        """Count the episodes."""
        return len(self.pool)

    @property
    def steps(self) -> int:
        """Control steps of all episodes together."""
        return self.pool.steps

    @property
    def records(self) -> tuple[EpisodeMetadata, ...]:
        """What is known of each episode without reading it."""
        return self.pool.records

    @property
    def behaviours(self) -> dict[str, int]:
        """Episodes of each behaviour, sorted by name."""
        return dict(sorted(Counter(record.behaviour for record in self.records).items()))

    def episodes(self) -> Iterator[Episode]:
        """Yield each episode, mapped from its file."""
        return self.pool.episodes()

    def where(self, keep: Callable[[EpisodeMetadata], bool]) -> Pool:
        """Choose episodes by their record."""
        return self.pool.where(keep)

    def split(self, valid_fraction: float = 0.1, seed: int = 0) -> tuple[Pool, Pool]:
        """Split whole episodes into training and validation; see `Pool.split`."""
        return self.pool.split(valid_fraction, seed)

    def transitions(self) -> TransitionArrays:
        """Copy every transition into memory; see `Pool.transitions`."""
        return self.pool.transitions()

    def take(self, rows: Int64[np.ndarray, " B"]) -> TransitionArrays:
        """Copy the transitions with these numbers; see `Pool.take`."""
        return self.pool.take(rows)

    def info(self) -> dict[str, Any]:
        """Describe the content: `env`, `shards`, `bytes`, `damaged`, and all of `Pool.info`."""
        size = sum(shard.size for shard in self._shards.values())
        damaged = [damage._asdict() for damage in self.damaged]
        head = {"env": self.header.env, "shards": len(self._shards), "bytes": size, "damaged": damaged}
        return head | self.pool.info()

    def _load(self) -> None:
        names = (path.stem for path in listed(self._folder, "*.json"))
        keys = sorted(name for name in names if files.KEY_PATTERN.fullmatch(name))
        with ThreadPoolExecutor(max_workers=4) as threads:  # checksums run outside the interpreter's lock
            list(threads.map(self._look, keys))
        if self._damaged:
            named = "; ".join(f"{name}: {reason}" for name, reason in self.damaged[:5])
            more = f"; and {len(self._damaged) - 5} more" if len(self._damaged) > 5 else ""
            text = f"{self.path}: left out {len(self._damaged)} damaged of {len(keys)} shards: {named}{more}"
            warnings.warn(text, DamagedShardWarning, stacklevel=3)

    def _look(self, key: str) -> bool:
        """Read the shard of `key` afresh; note it as usable or damaged."""
        self._pool = None
        try:
            self._shards[key] = files.read_shard(self._folder, key, self.header, self._verify)
        except files.DamagedShardError as error:
            self._damaged[key] = error.damage
            return False
        self._damaged.pop(key, None)
        return True


def refuse_unfit(episodes: Sequence[Episode], header: Header) -> None:
    """Check episodes against a dataset before anything is written.

    Raises:
        UserError: naming the behaviour, the seed, and where it can be told the step and the column.
    """
    if not episodes:
        raise UserError("no episodes to append")
    for episode in episodes:
        if not isinstance(episode.behaviour, str) or not episode.behaviour:
            raise UserError(f"{episode.label} has no behaviour; tag it with the policy that collected it")
        _refuse(episode, "obs", episode.obs, [variable.name for variable in header.observation])
        _refuse(episode, "actions", episode.actions, [variable.name for variable in header.action])
        _refuse(episode, "state", episode.state, [str(number) for number in range(header.state_size)])
        if (episode.rewards is None) != (episodes[0].rewards is None):
            raise UserError(f"{episode.label}: in one unit either all episodes have rewards or none has")
        if episode.rewards is not None:
            _refuse(episode, "rewards", episode.rewards[:, None], ["reward"])


def _refuse(episode: Episode, name: str, values: np.ndarray, columns: list[str]) -> None:
    if values.shape[1] != len(columns):
        found = f"{name} has {values.shape[1]} columns"
        raise UserError(f"{episode.label}: {found}, the dataset needs {len(columns)}; nothing was written")
    bad = ~np.isfinite(values)
    if bad.any():
        step, column = np.argwhere(bad)[0]
        what = "NaN" if np.isnan(values[step, column]) else "infinite"
        where = f"step {step}, column {columns[column]!r}"
        raise UserError(f"{episode.label}: {name} is {what} at {where}; nothing was written")
