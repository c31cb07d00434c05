"""Shards: safetensors files of episodes and their checksummed records."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Float64, Int64
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from mbtransfer.data.episode import Episode
from mbtransfer.data.header import Header
from mbtransfer.errors import UserError
from mbtransfer.runtime.files import write_bytes, write_json


@dataclass(frozen=True)
class EpisodeMetadata:
    """What is known of an episode without reading its arrays; `index` counts within the shard."""

    key: str
    index: int
    behaviour: str
    seed: int
    steps: int
    terminated: bool
    truncated: bool
    diverged: bool = False


class Arrays(NamedTuple):
    """The episodes of a shard end to end, mapped from the file (changes stay in this process)."""

    obs: Float32[np.ndarray, "rows O"]
    actions: Float32[np.ndarray, "steps A"]
    state: Float64[np.ndarray, "rows S"]
    rewards: Float64[np.ndarray, " steps"] | None = None


@dataclass(frozen=True)
class Shard:
    """A finished shard on disk; its arrays are mapped when first used."""

    key: str
    path: Path
    sha256: str
    size: int
    records: tuple[EpisodeMetadata, ...]

    @cached_property
    def arrays(self) -> Arrays:
        """The mapped arrays: n episodes of T steps in all have T rows of actions and T + n of the others.

        Raises:
            UserError: the file was removed since the shard was checked.
        """
        return _map(self.path)

    @cached_property
    def action_starts(self) -> Int64[np.ndarray, " starts"]:
        """Row of `actions` at which each episode begins, and the end."""
        return np.cumsum([0] + [record.steps for record in self.records], dtype=np.int64)

    @cached_property
    def obs_starts(self) -> Int64[np.ndarray, " starts"]:
        """Row of `obs` and `state` at which each episode begins, and the end."""
        return self.action_starts + np.arange(len(self.records) + 1)

    def episode(self, index: int) -> Episode:
        """The episode at `index`, as views of the mapped file."""
        record, (obs, actions, state, rewards) = self.records[index], self.arrays
        rows = slice(self.obs_starts[index], self.obs_starts[index + 1])
        steps = slice(self.action_starts[index], self.action_starts[index + 1])
        tags = record.behaviour, record.seed, record.terminated, record.truncated
        paid = None if rewards is None else rewards[steps]
        return Episode(obs[rows], actions[steps], state[rows], *tags, rewards=paid, diverged=record.diverged)


def _map(path: Path) -> Arrays:
    # PyTorch's loader maps the file copy-on-write; safetensors' NumPy loader would copy it all.
    try:
        with safe_open(path, framework="pt") as file:
            stored = set(file.keys())
            return Arrays(**{n: file.get_tensor(n).numpy() for n in Arrays._fields if n in stored})
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} was changed or removed while in use; open the dataset again") from error


KEY_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
"""What a key may look like: it names files, so nothing that could lead out of the folder."""

METADATA = "mbtransfer"


class Damage(NamedTuple):
    """A shard that is left out: the name of its file, and why."""

    name: str
    reason: str


class DamagedShardError(Exception):
    """A shard cannot be used."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.damage = Damage(name, reason)


def write_shard(folder: Path, key: str, episodes: Sequence[Episode]) -> None:
    """Write the episodes, then the record that makes them count.

    The content's digest is part of the file's name. So writers of the same key never touch each
    other's file, and whichever record stands names a whole one.

    Raises:
        UserError: the folder is unwritable or the disk is full.
    """
    records = [_record(key, index, episode) for index, episode in enumerate(episodes)]
    names = [name for name in Arrays._fields if getattr(episodes[0], name) is not None]
    joined = {name: np.concatenate([getattr(e, name) for e in episodes]) for name in names}
    tensors = {name: np.ascontiguousarray(array) for name, array in joined.items()}
    # A single entry: the order of several is not fixed, and equal data should give equal bytes.
    about = json.dumps({"key": key, "episodes": [_as_json(record) for record in records]})
    content = save(tensors, metadata={METADATA: about})
    digest = hashlib.sha256(content).hexdigest()
    write_bytes(data_path(folder, key, digest), content)
    commit = {"key": key, "sha256": digest, "size": len(content)}
    commit |= {"episodes": len(records), "steps": sum(record.steps for record in records)}
    write_json(record_path(folder, key), commit, indent=None)


def read_shard(folder: Path, key: str, header: Header, verify: bool) -> Shard:
    """Find the shard of a key and check it: record, size, layout, and with `verify` the checksum.

    Raises:
        DamagedShardError: anything about it is not as it was written.
    """
    digest, size = _read_record(folder, key)
    path = data_path(folder, key, digest)
    try:
        found = path.stat().st_size
        if found != size:
            raise DamagedShardError(path.name, f"has {found} bytes instead of {size}")
        if verify and _sha256(path) != digest:
            raise DamagedShardError(path.name, "its checksum differs: the content was changed")
        return Shard(key, path, digest, size, _read_layout(path, key, header))
    except FileNotFoundError as error:
        raise DamagedShardError(path.name, "the file is missing") from error
    except OSError as error:
        raise DamagedShardError(path.name, f"cannot be read: {error.strerror or error}") from error


def record_path(folder: Path, key: str) -> Path:
    """Where the record of a key lies."""
    return folder / f"{key}.json"


def data_path(folder: Path, key: str, digest: str) -> Path:
    """Where the episodes of a key lie."""
    return folder / f"{key}.{digest[:12]}.safetensors"


def check_key(key: str) -> None:
    """Refuse a key that cannot name a file.

    Raises:
        UserError: with the rule.
    """
    if not KEY_PATTERN.fullmatch(key):
        raise UserError(f"a shard cannot be called {key!r}: use up to 100 letters, digits, '-' and '_'")


def _record(key: str, index: int, episode: Episode) -> EpisodeMetadata:
    ends = bool(episode.terminated), bool(episode.truncated)
    tags = episode.behaviour, int(episode.seed), len(episode)
    return EpisodeMetadata(key, index, *tags, *ends, diverged=episode.diverged)


def _as_json(record: EpisodeMetadata) -> dict[str, Any]:
    """A record as it is written; what hardly ever happens is only told where it did."""
    return {name: value for name, value in asdict(record).items() if name != "diverged" or value}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_record(folder: Path, key: str) -> tuple[str, int]:
    path = record_path(folder, key)
    try:
        commit = json.loads(path.read_text("utf-8"))
        named, digest, size = commit["key"], commit["sha256"], commit["size"]
    except OSError as error:
        raise DamagedShardError(path.name, f"the record cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedShardError(path.name, "the record is not what was written") from error
    whole = isinstance(digest, str) and re.fullmatch(r"[0-9a-f]{64}", digest) and isinstance(size, int)
    if named != key or not whole:
        raise DamagedShardError(path.name, "the record is not what was written")
    return digest, size


def _read_layout(path: Path, key: str, header: Header) -> tuple[EpisodeMetadata, ...]:
    try:
        with safe_open(path, framework="numpy") as file:  # for the layout alone, PyTorch need not be loaded
            about: dict[str, Any] = json.loads(file.metadata()[METADATA])
            stored = set(file.keys())
            slices = {name: file.get_slice(name) for name in Arrays._fields if name in stored}
            found = {name: (part.get_dtype(), part.get_shape()) for name, part in slices.items()}
        records = tuple(EpisodeMetadata(**item) for item in about["episodes"])
        steps = sum(record.steps for record in records)
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedShardError(path.name, f"its layout cannot be read: {error}") from error
    if about.get("key") != key or any((r.key, r.index) != (key, i) for i, r in enumerate(records)):
        raise DamagedShardError(path.name, f"it was written for another key than {key!r}")
    rows = steps + len(records)
    expected = {
        "obs": ("F32", [rows, len(header.observation)]),
        "actions": ("F32", [steps, len(header.action)]),
        "state": ("F64", [rows, header.state_size]),
    }
    if "rewards" in found:
        expected["rewards"] = ("F64", [steps])
    for name, wanted in expected.items():
        if found.get(name) != wanted:
            raise DamagedShardError(path.name, f"{name} is {found.get(name)}, the dataset needs {wanted}")
    return records
