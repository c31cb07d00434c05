from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mbtransfer.data import Dataset
from mbtransfer.errors import USER_ERRORS, UserError
from mbtransfer.model import Model, model_layout, pick_device
from mbtransfer.training.fit import LEAST_EPISODES, STATE, fit_model
from tasks.registry import make
from world_models.checkpoint.manifest import seal
from world_models.checkpoint.storage import digest, save_tensors
from world_models.dynamics.ensemble import EnsembleConfig
from world_models.errors import ModelError
from world_models.training.trainer import EpochReport, TrainingConfig

KITCHEN = make("kitchen")
SHAPE = EnsembleConfig(members=2, hidden=8)
SETTINGS = TrainingConfig(epochs=2)


def test_a_model_comes_back_as_it_was(fitted: Model, tmp_path: Path) -> None:
    fitted.save(tmp_path / "copy")
    found = Model.load(str(tmp_path / "copy"), device="cpu")
    assert found.digest == fitted.digest
    assert digest(found.dynamics.state_dict()) == digest(fitted.dynamics.state_dict())
    assert digest(vars(found.pool)) == digest(vars(fitted.pool))
    assert found.environment is fitted.environment and found.notes == fitted.notes
    assert {k: tuple(v) for k, v in found.coverage.moves.items()} == {
        k: tuple(v) for k, v in fitted.coverage.moves.items()
    }


def test_the_digest_tells_models_apart(fitted: Model) -> None:
    before = fitted.digest
    assert len(before) == 16
    other = replace(fitted, pool=fitted.pool[slice(0, 100)])
    assert other.digest != before == fitted.digest
    with torch.no_grad():
        fitted.dynamics.biases[0][0, 0] += 1e-3
    assert fitted.digest != before


def test_what_things_are_linked_to_is_part_of_each_of_them() -> None:
    """A lock's column: limited, read and moved by the drawer's block and by that of the button that opens it."""
    spec = KITCHEN.spec
    lock = spec.index("hand_x_velocity")
    first, second, *rest = spec.fixtures
    linked = replace(spec, fixtures=(replace(first, linked=(lock,)), replace(second, linked=(lock,)), *rest))
    before, after = model_layout(spec), model_layout(linked)
    assert not before.limited[lock] and after.limited[lock]
    at = {one.handle: one.linked for one in linked.fixtures if one.linked}
    for old, new in zip(before.objects, after.objects, strict=True):
        assert new.positions == (*old.positions, *at.get(new.vector, ())) and new.velocities == old.velocities
    assert sum(lock in body.positions for body in after.objects) == len(at)


def test_saving_over_a_model_leaves_one_model(fitted: Model, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    other = replace(fitted, pool=fitted.pool[slice(0, 100)])
    other.save(tmp_path)
    assert Model.load(tmp_path, device="cpu").digest == other.digest
    assert len(list(tmp_path.glob("pool-*"))) == len(list(tmp_path.glob("dynamics-*"))) == 1


def test_what_fit_notes(fitted: Model, dataset: Dataset) -> None:
    notes = fitted.notes
    assert notes["data"] == dataset.digest and notes["transitions"] == dataset.steps == 1200
    assert [line["epoch"] for line in notes["curve"]] == [1, 2]
    assert notes["curve"][-1]["valid_loss"] < notes["curve"][0]["valid_loss"]
    assert {"horizon_error", "disagreement", "disagreement_percentiles"} <= set(notes)
    assert 1000 < len(fitted.pool) < 1200  # the rest is held out
    assert sum(sum(counts) for counts in fitted.coverage.moves.values()) > 100


def test_a_fit_that_was_interrupted_ends_like_one_that_was_not(
    dataset: Dataset, fitted: Model, tmp_path: Path
) -> None:
    class Killed(Exception):
        pass

    def kill(report: EpochReport) -> None:
        raise Killed

    def fit(report: Callable[[EpochReport], None] | None) -> Model:
        return fit_model(
            KITCHEN, dataset, tmp_path, shape=SHAPE, settings=SETTINGS, device="cpu", report=report
        )

    with pytest.raises(Killed):
        fit(kill)
    assert (tmp_path / STATE).is_file() and not (tmp_path / "manifest.json").exists()
    epochs: list[int] = []
    again = fit(lambda report: epochs.append(report.epoch))
    assert again.digest == fitted.digest and epochs == [1, 2]
    assert not (tmp_path / STATE).exists()


def test_a_fit_can_leave_its_data_on_the_disk(
    dataset: Dataset, fitted: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = []
    for name, stream in (("asked", True), ("again", True), ("too large", False)):
        if not stream:
            monkeypatch.setattr("mbtransfer.training.fit.ROOM", 1e-9)
        models.append(
            fit_model(
                KITCHEN, dataset, tmp_path / name, shape=SHAPE, settings=SETTINGS, device="cpu", stream=stream
            )
        )
    assert len({model.digest for model in models}) == 1
    assert models[0].coverage.moves == {name: tuple(n) for name, n in fitted.coverage.moves.items()}
    assert len(models[0].pool) == len(fitted.pool)
    streamed, resident = (model.notes["curve"][-1]["valid_loss"] for model in (models[0], fitted))
    assert streamed == pytest.approx(resident, rel=0.3)


def test_too_few_episodes_are_refused_before_anything_is_written(dataset: Dataset, tmp_path: Path) -> None:
    few = Dataset.open_or_create(tmp_path / "few", dataset.header)
    with pytest.raises(UserError, match="0 episodes are too few"):
        fit_model(KITCHEN, few, tmp_path / "model")
    few.append(list(dataset.episodes())[: LEAST_EPISODES - 1], "some")
    with pytest.raises(UserError, match="9 episodes are too few"):
        fit_model(KITCHEN, few, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_heads_are_fitted_once_from_as_many_labels_as_asked(fitted: Model) -> None:
    tasks = [KITCHEN.task("drawer_open"), KITCHEN.task("tap_open")]
    heads = fitted.rewards(tasks, 100)
    assert list(heads.heads) == ["drawer_open", "tap_open"]
    again = fitted.rewards(tasks[::-1], 100)
    assert list(again.heads) == ["tap_open", "drawer_open"]
    assert again.heads["tap_open"] is heads.heads["tap_open"]
    assert fitted.rewards(tasks[:1], 200).heads["drawer_open"] is not heads.heads["drawer_open"]
    obs = fitted.pool.obs[:6].unflatten(0, (2, 3))
    assert heads.success(obs).shape == (2, 3, 2)
    with pytest.raises(ModelError, match=f"holds {len(fitted.pool)} transitions"):
        fitted.rewards(tasks, len(fitted.pool) + 1)


def test_fewer_labels_are_some_of_the_more(fitted: Model) -> None:
    task = KITCHEN.task("drawer_open")
    few, many = fitted.label(task, 50), fitted.label(task, 200)
    assert torch.equal(many.obs[:50], few.obs) and torch.equal(many.reward[:50], few.reward)
    assert torch.equal(few.success, task.success(few.next_obs))
    other = fitted.label(KITCHEN.task("tap_open"), 50)
    assert not torch.equal(other.obs, few.obs)


def test_other_dynamics_keep_the_heads(fitted: Model) -> None:
    heads = fitted.rewards([KITCHEN.task("drawer_open")], 100)
    other = fitted.with_dynamics(fitted.dynamics)
    assert other.rewards([KITCHEN.task("drawer_open")], 100).heads == heads.heads


def test_devices() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type in ("cpu", "cuda")
    for wrong in ("gpu", "cuda:99"):
        with pytest.raises(ModelError, match=wrong):
            pick_device(wrong)


@pytest.fixture
def folder(fitted_folder: Path, tmp_path: Path) -> Path:
    """A copy that may be harmed."""
    shutil.copytree(fitted_folder, tmp_path / "model")
    return tmp_path / "model"


def refused(folder: Path) -> str:
    """The one line with which loading fails; the folder itself stays as it is."""
    before = {file: file.read_bytes() for file in folder.glob("*")}
    with pytest.raises(USER_ERRORS) as raised:
        Model.load(folder, device="cpu")
    assert before == {file: file.read_bytes() for file in folder.glob("*")}
    assert "\n" not in str(raised.value)
    return str(raised.value)


def edit(folder: Path, **changes: object) -> None:
    """Change what the manifest says beside the dynamics, and seal it again."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["sha256"]
    manifest["extra"] = {
        key: value for key, value in (manifest["extra"] | changes).items() if value is not None
    }
    path.write_text(json.dumps(manifest | {"sha256": seal(manifest)}))


@pytest.mark.parametrize("name", ["pool", "dynamics"])
def test_a_damaged_part_is_named(folder: Path, name: str) -> None:
    (file,) = folder.glob(f"{name}-*")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert file.name in refused(folder)
    flipped = bytearray(whole)
    flipped[-5] ^= 1
    file.write_bytes(bytes(flipped))
    assert file.name in refused(folder) and "damaged" in refused(folder)
    file.unlink()
    assert file.name in refused(folder)


def test_folders_that_are_no_model(folder: Path, tmp_path: Path) -> None:
    assert "not a model folder" in refused(tmp_path / "nowhere")
    edit(folder, pool=None)
    assert "without a pool" in refused(folder)


def test_a_model_of_another_environment(folder: Path) -> None:
    edit(folder, env="kitchn")
    assert "did you mean 'kitchen'" in refused(folder)


def test_a_model_of_another_version_of_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = list(KITCHEN.spec.observation)
    variables[3] = replace(variables[3], high=variables[3].high + 1)
    other = replace(KITCHEN, spec=replace(KITCHEN.spec, observation=tuple(variables)))
    monkeypatch.setattr("mbtransfer.model.make_recorded", lambda *_, **__: other)
    assert "fit it again" in refused(folder)


def test_a_pool_of_something_else(folder: Path, fitted: Model) -> None:
    save_tensors(folder / "pool-x.safetensors", {"obs": fitted.pool.obs})
    edit(folder, pool="pool-x.safetensors")
    refused(folder)
    bad = dict(vars(fitted.pool))
    bad["obs"] = torch.full_like(bad["obs"], np.nan)
    save_tensors(folder / "pool-x.safetensors", bad)
    assert "nan" in refused(folder)


def test_a_model_that_cannot_be_written(fitted: Model, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(ModelError, match="file"):
        fitted.save(tmp_path / "file" / "model")
    assert (tmp_path / "file").read_text() == "precious"
