from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from world_models.checkpoint import load_dynamics, save_dynamics
from world_models.ensemble import EnsembleDynamics
from world_models.errors import ModelError
from world_models.layout import Layout
from world_models.manifest import seal
from world_models.storage import load_tensors, save_tensors
from world_models.transitions import Transitions

Build = Callable[..., EnsembleDynamics]


@pytest.fixture
def folder(tmp_path: Path, fitted: EnsembleDynamics) -> Path:
    fitted.elites = torch.tensor([2, 0])
    save_dynamics(tmp_path / "model", fitted, {"env": "toy"}, data_hash="abc")
    return tmp_path / "model"


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


def test_a_model_comes_back_bit_for_bit(
    folder: Path, fitted: EnsembleDynamics, layout: Layout, train: Transitions
) -> None:
    found, manifest = load_dynamics(folder, expect=layout)
    assert found.config == fitted.config and found.layout == fitted.layout
    assert found.elites.tolist() == [2, 0]
    assert all(torch.equal(value, found.state_dict()[name]) for name, value in fitted.state_dict().items())
    obs, actions = (x[:9].expand(3, -1, -1) for x in (train.obs, train.actions))
    assert torch.equal(found(obs, actions).mean, fitted(obs, actions).mean)
    assert manifest["extra"] == {"env": "toy"} and manifest["data_hash"] == "abc"
    assert manifest["libraries"]["torch"].startswith("2.")


@pytest.mark.parametrize("settings", [{"structure": "dense"}, {"head": "gaussian", "layers": 3}])
def test_every_kind_of_ensemble_is_saved(build: Build, tmp_path: Path, settings: dict[str, Any]) -> None:
    dynamics = build(**settings)
    save_dynamics(tmp_path, dynamics)
    assert load_dynamics(tmp_path)[0].config == dynamics.config


def test_notes_that_are_not_numbers_become_null(build: Build, tmp_path: Path) -> None:
    save_dynamics(tmp_path, build(), {"errors": [1.0, float("nan")], "of": {"spearman": float("inf")}})
    assert load_dynamics(tmp_path)[1]["extra"] == {"errors": [1.0, None], "of": {"spearman": None}}


def test_a_new_model_replaces_the_old_one(folder: Path, build: Build) -> None:
    old = weights_file(folder)
    save_dynamics(folder, build())
    assert not old.exists()
    assert sorted(file.name for file in folder.iterdir()) == [weights_file(folder).name, "manifest.json"]


def test_a_kill_at_any_write_leaves_one_of_the_two_models(
    folder: Path, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, new = load_dynamics(folder)[0].state_dict(), build()
    seen = set()
    for deadly in range(1, 20):
        calls = iter(range(1, 100))

        def dying(name: str, deadly: int = deadly, calls: Any = calls) -> Callable[..., Any]:
            real = getattr(os, name)

            def call(*args: Any, **keywords: Any) -> Any:
                if next(calls) >= deadly:
                    raise KeyboardInterrupt
                return real(*args, **keywords)

            return call

        with monkeypatch.context() as patch:
            for name in ("fsync", "replace", "unlink"):
                patch.setattr(os, name, dying(name))
            try:
                save_dynamics(folder, new)
                killed = False
            except KeyboardInterrupt:
                killed = True
        found = load_dynamics(folder)[0]
        seen.add(found.config.members)
        if found.config.members == 3:
            assert all(torch.equal(before[name], value) for name, value in found.state_dict().items())
        if not killed:
            break
    assert seen == {2, 3} and not killed


def test_a_model_that_is_not_finite_is_not_saved(folder: Path, fitted: EnsembleDynamics) -> None:
    with torch.no_grad():
        fitted.weights[1][0, 0, 0] = torch.nan
    with pytest.raises(ModelError, match=r"weights\.1 that is not finite"):
        save_dynamics(folder, fitted)
    load_dynamics(folder)


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
    assert "lacks tensor" in refused(folder)


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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": ("x", "y", "depth")}, "16 observation columns in the model, 3 here"),
        ({"action_size": 4}, "3 actions in the model, 4 here"),
        ({"hand": None}, "hand in the model is no hand here"),
        ({"objects": ()}, "2 objects in the model, 0 here"),
    ],
)
def test_another_environment_is_told_apart(
    folder: Path, layout: Layout, change: dict[str, Any], message: str
) -> None:
    assert f"does not fit this environment: {message}" in refused(folder, expect=replace(layout, **change))


def test_the_first_differing_column_is_named(folder: Path, layout: Layout) -> None:
    renamed = replace(layout, columns=(*layout.columns[:3], "door", *layout.columns[4:]))
    assert "observation column 3 is left in the model, door here" in refused(folder, expect=renamed)
    wider = replace(layout, high=(*layout.high[:4], 0.2, *layout.high[5:]))
    assert "high of right is 0.1 in the model, 0.2 here" in refused(folder, expect=wider)


def test_a_manifest_cannot_point_outside(folder: Path, tmp_path: Path) -> None:
    weights_file(folder).rename(tmp_path / "elsewhere.safetensors")
    edit(folder, lambda manifest: manifest["tensors"].update(file="../elsewhere.safetensors"))
    assert "cannot read" in refused(folder)
