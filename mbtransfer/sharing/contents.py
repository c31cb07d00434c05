"""Which files belong to a model or a dataset, and their checksums.

Nothing else is ever pushed or pulled. All of them are JSON or safetensors, which cannot run code.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mbtransfer.data.dataset import SHARD_FOLDER, Dataset
from mbtransfer.data.header import HEADER_FILE, is_dataset
from mbtransfer.data.log_notes import FOLDER as LOGS
from mbtransfer.data.shards import KEY_PATTERN, record_path
from mbtransfer.errors import UserError
from mbtransfer.mpc.task_policy import FOLDER as PREPARED
from tasks.environment import COPY
from world_models.checkpoint.atomic import listed
from world_models.checkpoint.checkpoint import MANIFEST, load_dynamics

Kind = Literal["model", "dataset"]

CARD, PAGE = "card.json", "README.md"

HUB = "hf:"
"""What the name of a repository on the Hub begins with: hf:OWNER/NAME or, to pull, hf:OWNER/NAME@REVISION."""

MOST_CARD = 64 * 2**20
"""No card is larger, in bytes."""

_KEY = KEY_PATTERN.pattern
PATTERNS: Mapping[Kind, re.Pattern[str]] = {
    "model": re.compile(
        rf"{re.escape(MANIFEST)}|{re.escape(COPY)}|(dynamics|pool)-[0-9a-f]{{16}}\.safetensors"
        rf"|{PREPARED}/[A-Za-z0-9_-]{{0,60}}-[0-9a-f]{{8}}\.safetensors"
    ),
    "dataset": re.compile(
        rf"{re.escape(HEADER_FILE)}|{re.escape(COPY)}|{LOGS}/[A-Za-z0-9-]{{1,60}}-[0-9a-f]{{8}}\.json"
        rf"|{SHARD_FOLDER}/{_KEY}(\.json|\.[0-9a-f]{{12}}\.safetensors)"
    ),
}
"""Paths within the folder that a file of each kind can have; nothing that leads out of it."""

BLOCK = 2**20


@dataclass(frozen=True)
class FileRecord:
    """Size in bytes and SHA-256 of a file."""

    size: int
    sha256: str


def kind_of(folder: Path) -> Kind:
    """Whether the folder holds a model or a dataset.

    Raises:
        UserError: neither.
    """
    if (folder / MANIFEST).is_file():
        return "model"
    if is_dataset(folder):
        return "dataset"
    what = "it is not there" if not folder.exists() else f"it has neither {MANIFEST} nor {HEADER_FILE}"
    raise UserError(f"{folder} is no folder of a model or dataset: {what}")


def own_files(folder: Path, kind: Kind) -> list[str]:
    """Paths within the folder of the files that make up its model or dataset, sorted.

    Raises:
        ModelError, UserError: damaged.
    """
    if kind == "dataset":
        notes = (f"{LOGS}/{path.name}" for path in listed(folder / LOGS, "*.json"))
        named = (name for name in notes if PATTERNS[kind].fullmatch(name))
        return sorted([HEADER_FILE, *_declared(folder), *_shards(folder), *named])
    _, manifest = load_dynamics(folder)
    pool = manifest["extra"].get("pool")
    if not isinstance(pool, str):
        raise UserError(f"{folder} holds dynamics without a pool; fit a model with `mbtransfer fit`")
    prepared = [path.relative_to(folder).as_posix() for path in listed(folder / PREPARED, "*.safetensors")]
    names = [MANIFEST, *_declared(folder), manifest["tensors"]["file"], pool, *prepared]
    for name in names:
        check_name(name, kind, str(folder))
    return sorted(names)


def _shards(folder: Path) -> Iterator[str]:
    dataset = Dataset.open(folder)
    if dataset.damaged:
        raise UserError(f"{folder} has damaged shards ({dataset.damaged[0].name}); collect them anew first")
    for shard, _ in dataset.pool.parts:
        yield f"{SHARD_FOLDER}/{shard.path.name}"
        yield f"{SHARD_FOLDER}/{record_path(folder, shard.key).name}"


def _declared(folder: Path) -> list[str]:
    return [COPY] if (folder / COPY).is_file() else []


def strays(folder: Path, kind: Kind, known: Mapping[str, FileRecord]) -> list[str]:
    """Files in the folder that would count as the model's or dataset's own but are not known."""
    inside = (path.relative_to(folder).as_posix() for path in listed(folder, "**/*") if path.is_file())
    return [name for name in inside if PATTERNS[kind].fullmatch(name) and name not in known]


def check_name(name: str, kind: Kind, source: str) -> None:
    """Refuse a name that no file of a model or dataset has.

    Raises:
        UserError: names it.
    """
    if not PATTERNS[kind].fullmatch(name):
        raise UserError(f"{source} names {name!r}, which is no file of a {kind}; nothing was taken")


def file_record(path: Path) -> FileRecord:
    """Size and checksum of a file.

    Raises:
        UserError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return FileRecord(file.tell(), digest)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error


def content_record(content: bytes) -> FileRecord:
    """Size and checksum of what is yet to be written."""
    return FileRecord(len(content), hashlib.sha256(content).hexdigest())


def check_files(folder: Path, files: Mapping[str, FileRecord], remedy: str) -> None:
    """See that every file is there and is what its record says.

    Args:
        folder: where they are.
        files: records by path within the folder.
        remedy: what to do if one is not, for the message.

    Raises:
        UserError: names the first file that is not.
    """
    for name, expected in sorted(files.items()):
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise UserError(f"{path} is missing, though the card lists it; {remedy}")
        size = path.stat().st_size
        if size != expected.size:
            raise UserError(f"{path} has {size:,} bytes, the card says {expected.size:,}; {remedy}")
        if file_record(path) != expected:
            raise UserError(f"{path} is not what the card lists: its checksum differs; {remedy}")


def copy_checked(source: Path, target: Path, expected: FileRecord) -> None:
    """Copy a file, and see on the way that it is what its record says; never reads more than that.

    Raises:
        UserError: it cannot be read, or is something else.
        OSError: the target cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink() or not source.is_file():
        raise UserError(f"{source} is missing or is no regular file; nothing was taken")
    whole, left = hashlib.sha256(), expected.size
    try:
        file = source.open("rb")
    except OSError as error:
        raise UserError(f"cannot read {source}: {error.strerror or error}") from error
    with file, target.open("wb") as copy:
        while data := file.read(min(BLOCK, left + 1)):
            left -= len(data)
            if left < 0:
                break
            whole.update(data)
            copy.write(data)
    if left or whole.hexdigest() != expected.sha256:
        raise UserError(f"{source} is not what its card lists: its checksum differs; nothing was taken")
