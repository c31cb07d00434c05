from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from world_models.checkpoint.storage import digest, load_tensors, save_tensors, write_atomically
from world_models.errors import ModelError


@pytest.fixture
def tensors(generator: torch.Generator) -> dict[str, Tensor]:
    wide = torch.randn(4, 6, generator=generator)
    return {"b": wide, "view": wide[:, ::2], "whole": wide, "n": torch.tensor(3), "none": torch.zeros(0, 2),
            "flags": torch.tensor([True, False])}  # fmt: skip


def test_what_is_saved_comes_back(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    save_tensors(tmp_path / "new" / "x.safetensors", tensors, {"tasks": ["a", "b"], "n": 1.5})
    found, about = load_tensors(tmp_path / "new" / "x.safetensors")
    assert about == {"tasks": ["a", "b"], "n": 1.5}
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], value) for name, value in tensors.items())


def test_equal_content_gives_equal_bytes(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    save_tensors(tmp_path / "a", tensors, {"x": 1, "y": 2})
    save_tensors(tmp_path / "b", dict(reversed(tensors.items())), {"y": 2, "x": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_every_cut_and_every_flipped_bit_is_found(tmp_path: Path, generator: torch.Generator) -> None:
    path = tmp_path / "x.safetensors"
    save_tensors(path, {"w": torch.randn(3, 5, generator=generator)}, {"task": "reach"})
    data = path.read_bytes()
    harmed = [data[:size] for size in range(0, len(data), 7)]
    harmed += [data[:i] + bytes([data[i] ^ 4]) + data[i + 1 :] for i in range(0, len(data))]
    found = 0
    for harm in harmed:
        path.write_bytes(harm)
        try:
            tensors, about = load_tensors(path)
        except ModelError as error:
            assert str(path) in str(error) and "\n" not in str(error)
            found += 1
        else:  # a changed space between two words of the header means nothing
            assert about == {"task": "reach"} and digest(tensors) == digest(load_again(path, data))
    assert found > 0.98 * len(harmed)


def load_again(path: Path, data: bytes) -> dict[str, Tensor]:
    path.write_bytes(data)
    return load_tensors(path)[0]


def test_files_that_are_not_ours_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot read .*x\.safetensors: No such file"):
        load_tensors(tmp_path / "x.safetensors")
    save_file({"w": torch.zeros(2)}, tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match="not written by mbtransfer"):
        load_tensors(tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match="cannot read"):
        load_tensors(tmp_path)


def test_a_failed_write_harms_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    write_atomically(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ModelError, match=r"cannot write .*No space left.*unharmed"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["x"]


def test_a_folder_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(ModelError, match="cannot write"):
        write_atomically(tmp_path / "x", b"new")
