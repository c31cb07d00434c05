"""Reads what W&B writes offline: its own record format in the log format of LevelDB."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

BLOCK, HEAD, WHOLE, LAST = 32768, 7, 1, 4


def _payloads(data: bytes) -> Iterator[bytes]:
    position, parts = HEAD, b""
    while position < len(data):
        if BLOCK - position % BLOCK < HEAD:
            position += BLOCK - position % BLOCK
            continue
        length, kind = int.from_bytes(data[position + 4 : position + 6], "little"), data[position + 6]
        parts += data[position + HEAD : position + HEAD + length]
        position += HEAD + length
        if kind in (WHOLE, LAST):
            yield parts
            parts = b""


def _read(folder: Path) -> list[Any]:
    from wandb.proto.wandb_internal_pb2 import Record

    (file,) = folder.glob("*.wandb")
    return [Record.FromString(payload) for payload in _payloads(file.read_bytes())]


class Kept:
    """One offline run."""

    def __init__(self, folder: Path) -> None:
        records = _read(folder)
        kinds = [record.WhichOneof("record_type") for record in records]
        (self.run,) = (one.run for one, kind in zip(records, kinds, strict=True) if kind == "run")
        self.config = {item.key: json.loads(item.value_json) for item in self.run.config.update}
        self.history = [
            {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in one.history.item}
            for one, kind in zip(records, kinds, strict=True)
            if kind == "history"
        ]
        self.artifacts = [
            one.artifact if kind == "artifact" else one.request.log_artifact.artifact
            for one, kind in zip(records, kinds, strict=True)
            if kind == "artifact" or (kind == "request" and one.request.HasField("log_artifact"))
        ]
        self.exit_codes = [
            one.exit.exit_code for one, kind in zip(records, kinds, strict=True) if kind == "exit"
        ]
        self.summary = {
            item.key or "/".join(item.nested_key): json.loads(item.value_json)
            for one, kind in zip(records, kinds, strict=True)
            if kind == "summary"
            for item in one.summary.update
        }

    def curve(self, name: str, axis: str) -> list[tuple[float, float]]:
        return [(point[axis], point[name]) for point in self.history if name in point]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, of somebody without a W&B account."""
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "WANDB_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def kept(place: Path) -> Callable[[], list[Kept]]:
    """The offline runs in that folder, oldest first."""
    return lambda: [Kept(folder) for folder in sorted((place / "wandb").glob("offline-run-*"))]
