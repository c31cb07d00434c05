"""Checksummed storage of tensors in safetensors files.

A checksum over every name, shape, number and the metadata travels in the file's header, so a flipped bit or
a cut end is found when it is read. Nothing that is read can run code.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from world_models.checkpoint.atomic import replacing
from world_models.errors import ModelError

HEADER = "mbtransfer"
"""The one key of the file's metadata. One, because the order of several is not fixed."""


def save_tensors(
    path: str | os.PathLike[str], tensors: Mapping[str, Tensor], metadata: Mapping[str, Any] | None = None
) -> None:
    """Write tensors, and metadata that fit in JSON, to one file; equal content gives equal bytes.

    Raises:
        ModelError: the file cannot be written; what was there before is unharmed.
    """
    write_atomically(path, pack(tensors, metadata))


def load_tensors(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors and metadata back, onto the CPU.

    Raises:
        ModelError: there is no such file, it is damaged, or it is not of ours.
    """
    return unpack(read_bytes(path), path)


def pack(tensors: Mapping[str, Tensor], metadata: Mapping[str, Any] | None = None) -> bytes:
    """What `save_tensors` writes."""
    plain = {name: tensors[name].detach().cpu().contiguous().clone() for name in sorted(tensors)}
    text = json.dumps(metadata or {}, sort_keys=True, allow_nan=False)
    header = json.dumps({"sha256": digest(plain, text), "metadata": text})
    return save(plain, metadata={HEADER: header})


def unpack(data: bytes, path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `load_tensors` makes of a file's bytes; `path` is for messages.

    Raises:
        ModelError: as `load_tensors`.
    """
    name = os.fspath(path)
    try:
        # Cloned: a view of the file's bytes need not be aligned, and would keep all of them in memory.
        tensors = {key: value.clone() for key, value in load(data).items()}
        size = int.from_bytes(data[:8], "little")
        header = json.loads(json.loads(data[8 : 8 + size])["__metadata__"][HEADER])
        metadata, checksum = str(header["metadata"]), header["sha256"]
    except (SafetensorError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ModelError(f"{name} is damaged or cut short; make it again") from error
    except (KeyError, TypeError) as error:
        raise ModelError(f"{name} was not written by mbtransfer") from error
    if digest(tensors, metadata) != checksum:
        raise ModelError(f"{name} is damaged: its checksum does not match its content; make it again")
    try:
        found: dict[str, Any] = json.loads(metadata)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{name} was not written by mbtransfer") from error
    return tensors, found


def digest(tensors: Mapping[str, Tensor], text: str = "") -> str:
    """SHA-256 of a text and of names, types, shapes and numbers of tensors, in the order of their names."""
    total = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        total.update(f"\n{name} {value.dtype} {tuple(value.shape)}\n".encode())
        total.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The content of a file.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {os.fspath(path)}: {error.strerror or error}") from error


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file whole or not at all, flushed to the disk; missing parent folders are made.

    Raises:
        ModelError: the folder is unwritable, the disk is full, or `path` is a folder.
    """
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelError(
            f"cannot write {os.fspath(path)}: {reason}; what was there before is unharmed"
        ) from error
