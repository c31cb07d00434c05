"""What is damaged, made up or of another version is refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.world_models.checkpoint.saved import edit, refused, swap, weights_file


def test_what_is_no_model_folder_is_named(tmp_path: Path) -> None:
    assert "is not a model folder" in refused(tmp_path / "nowhere")
    (tmp_path / "manifest.json").write_text('{"format": "mbtransfer-dataset"}')
    assert "is not of a model" in refused(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": ')
    assert "damaged: not JSON" in refused(tmp_path)


def test_missing_cut_and_flipped_weights_are_found(folder: Path) -> None:
    path = weights_file(folder)
    data = bytearray(path.read_bytes())
    path.write_bytes(data[: len(data) // 2])
    assert path.name in refused(folder) and "damaged" in refused(folder)
    data[-9] ^= 16
    path.write_bytes(data)
    assert "its checksum is not the manifest's" in refused(folder)
    path.unlink()
    assert "cannot read" in refused(folder)


def test_every_flipped_bit_of_the_manifest_is_found(folder: Path) -> None:
    path = folder / "manifest.json"
    data = path.read_bytes()
    for i in range(0, len(data) - 1, 41):
        if not chr(data[i]).isspace():
            path.write_bytes(data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :])
            refused(folder)


def test_a_newer_version_is_refused(folder: Path) -> None:
    edit(folder, lambda manifest: manifest.update(version=2))
    assert "format version 2, this program reads 1" in refused(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("weights.1"), "lacks tensor weights.1"),
        (lambda tensors: tensors.update(more=torch.zeros(1)), "has a tensor more"),
        (lambda tensors: tensors.update({"biases.0": torch.zeros(1, 2, 3)}), "biases.0 has shape (1, 2, 3)"),
        (lambda tensors: tensors.update({"biases.0": tensors["biases.0"].double()}), "is torch.float64"),
        (lambda tensors: tensors["normalizer.scale"].mul_(torch.nan), "normalizer.scale that is not finite"),
        (lambda tensors: tensors["normalizer.change"].zero_(), "normalizer.change must be above zero"),
        (lambda tensors: tensors.update(elites=torch.tensor([0, 3])), "elites [0, 3] are not some of its 3"),
        (lambda tensors: tensors.update(elites=torch.zeros(0, dtype=torch.long)), "elites [] are not"),
    ],
)
def test_wrong_tensors_are_named(
    folder: Path, change: Callable[[dict[str, Tensor]], object], message: str
) -> None:
    swap(folder, change)
    assert message in refused(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [("members", 0), ("members", 10**12), ("hidden", -1), ("layers", True), ("hidden", 64.0), ("head", 3),
     ("head", "mixture"), ("structure", "sparse"), ("surprise", 1)],
)  # fmt: skip
def test_absurd_settings_are_named(folder: Path, key: str, value: object) -> None:
    edit(folder, lambda manifest: manifest["config"].update({key: value}))
    message = refused(folder)
    assert str(value) in message or "config must hold" in message


def test_a_large_but_possible_setting_costs_no_memory(folder: Path) -> None:
    edit(folder, lambda manifest: manifest["config"].update(members=1000, hidden=16384, layers=64))
    assert "its weights are not those of" in refused(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda layout: layout.pop("low"),
        lambda layout: layout.update(low=layout["low"][1:]),
        lambda layout: layout.update(high=layout["low"]),
        lambda layout: layout.update(low=["a"] * len(layout["low"])),
        lambda layout: layout.update(action_size=0),
        lambda layout: layout["hand"].update(positions=[99, 1, 2]),
        lambda layout: layout["objects"][0].update(vector=[10]),
        lambda layout: layout.update(objects=[3]),
        lambda layout: layout.update(hand=None),
    ],
)
def test_a_layout_that_makes_no_sense_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    edit(folder, lambda manifest: change(manifest["layout"]))
    assert "manifest.json" in refused(folder)


def test_a_manifest_cannot_point_outside(folder: Path, tmp_path: Path) -> None:
    weights_file(folder).rename(tmp_path / "elsewhere.safetensors")
    edit(folder, lambda manifest: manifest["tensors"].update(file="../elsewhere.safetensors"))
    assert "cannot read" in refused(folder)
