"""Saved models changed on disk, and how loading them is refused; not a test."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from world_models.checkpoint.checkpoint import load_dynamics
from world_models.checkpoint.manifest import seal
from world_models.checkpoint.storage import load_tensors, save_tensors
from world_models.errors import ModelError


def weights_file(folder: Path) -> Path:
    (file,) = folder.glob("dynamics-*.safetensors")
    return file


def refused(folder: Path, **keywords: Any) -> str:
    """The one line with which loading fails; the folder itself stays as it is."""
    before = {file: file.read_bytes() for file in folder.glob("*")}
    with pytest.raises(ModelError) as error:
        load_dynamics(folder, **keywords)
    assert before == {file: file.read_bytes() for file in folder.glob("*")}
    assert "\n" not in str(error.value)
    return str(error.value)


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest and seal it again, as a writer with a mistake would."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["sha256"]
    change(manifest)
    path.write_text(json.dumps(manifest | {"sha256": seal(manifest)}))


def swap(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    """Change the tensors, with all checksums right."""
    path = weights_file(folder)
    tensors, about = load_tensors(path)
    change(tensors)
    save_tensors(path, tensors, about)
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    edit(folder, lambda manifest: manifest["tensors"].update(sha256=checksum))
