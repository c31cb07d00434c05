"""A fitted model meets new episodes: of the same world, and of one in which the drawer goes half as far again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mbtransfer.cli.changes import show_changes
from mbtransfer.cli.commands.fit import run_fit
from mbtransfer.config import FitConfig
from mbtransfer.data import Dataset
from mbtransfer.errors import UserError
from mbtransfer.model import Model
from mbtransfer.runtime.terminal import Terminal
from mbtransfer.training.fit import STATE, fit_model
from mbtransfer.training.refresh import Refreshed, refresh_model, refresh_settings
from tasks.registry import make
from tests.mbtransfer.training import slide
from world_models.checkpoint.checkpoint import MANIFEST
from world_models.checkpoint.storage import digest
from world_models.dynamics.ensemble import EnsembleConfig
from world_models.training.trainer import EpochReport, TrainingConfig
from world_models.uncertainty.conformal import Intervals

GAIN = 1.5
SETTINGS = TrainingConfig(epochs=6, batch=64, learning_rate=3e-3)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model and the data that it is made of; data of the same world, and of a changed one."""
    home = tmp_path_factory.mktemp("slide")
    environment = slide.declare(home / "slide.yaml")
    shape = EnsembleConfig(members=2, hidden=16, layers=1)
    settings = TrainingConfig(epochs=15, batch=64)
    fitted = slide.record(environment, home / "data", 0, episodes=200)
    fit_model(environment, fitted, home / "model", shape=shape, settings=settings, device="cpu")
    slide.record(environment, home / "same", 1, episodes=60)
    slide.record(environment, home / "changed", 2, GAIN, episodes=60)
    return home


@pytest.fixture(scope="module")
def old(home: Path) -> Model:
    return Model.load(home / "model", device="cpu")


@pytest.fixture(scope="module")
def refreshed(home: Path, old: Model) -> Callable[[str, float], Refreshed]:
    """The model continued with data of that name, once for each share of replay."""
    made: dict[tuple[str, float], Refreshed] = {}

    def refresh(name: str, replay: float = 0.5) -> Refreshed:
        if (name, replay) not in made:
            data, out = Dataset.open(home / name), home / f"{name}-{replay}"
            made[name, replay] = refresh_model(old, data, out, SETTINGS, replay=replay)
        return made[name, replay]

    return refresh


def test_a_world_that_stays_the_same_does_not_drift_and_nothing_is_lost(refreshed: Any) -> None:
    changes = refreshed("same").changes
    assert not any(found["drifted"] for found in changes["drift"].values())
    for errors in changes["groups"].values():
        assert errors["old"]["lost"] < 0.01 and errors["new"]["after"] < errors["new"]["before"] + 0.01
    assert changes["tasks"]["pull"]["lost"] < 0.01 and changes["tasks"]["pull"]["transitions"] > 100


def test_a_changed_gain_is_found_where_it_changed(refreshed: Any) -> None:
    drift = refreshed("changed").changes["drift"]
    assert drift["fixtures"]["drifted"] and not drift["hand"]["drifted"]
    assert drift["fixtures"]["episodes"] == 60


def test_a_changed_gain_is_relearned(refreshed: Any) -> None:
    """Half replay learns a gain between the old and the new one, which is 17% off both; little replay the new one."""
    half, little = (refreshed("changed", share).changes["groups"]["fixtures"] for share in (0.5, 0.1))
    assert half["new"]["before"] > 0.3 and half["old"]["before"] < 0.1
    assert half["new"]["after"] < 0.6 * half["new"]["before"]
    assert little["new"]["after"] < 0.15
    assert little["old"]["lost"] > half["old"]["lost"] > 0


def test_the_new_model_knows_of_the_new_episodes(refreshed: Any, old: Model, home: Path) -> None:
    made, data = refreshed("changed").model, Dataset.open(home / "changed")
    loaded = Model.load(home / "changed-0.5", device="cpu")
    assert loaded.digest == made.digest != old.digest and loaded.notes == made.notes
    moves = {name: sum(counts) for name, counts in loaded.coverage.moves.items()}
    assert moves["drawer"] > sum(old.coverage.moves["drawer"])
    assert loaded.notes["transitions"] == old.notes["transitions"] + data.steps
    assert loaded.notes["continues"] == [{"model": old.digest, "data": data.digest}]
    before, after = (Intervals.of(model.notes).factors for model in (old, loaded))
    assert before.keys() == after.keys() and any(not torch.equal(before[k], after[k]) for k in before)
    assert torch.equal(loaded.dynamics.normalizer.change, old.dynamics.normalizer.change)
    assert not (home / "changed-0.5" / STATE).exists()


def test_the_pool_holds_new_transitions_in_proportion(
    old: Model, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mbtransfer.training.refresh.POOL", 900)
    data = Dataset.open(home / "changed")
    one = replace(SETTINGS, epochs=1)
    places = torch.stack([old.pool.obs[:, 3:4], old.pool.next_obs[:, 3:4]], dim=1).double()
    made = refresh_model(replace(old, states=places), data, tmp_path / "out", one).model
    known = {tuple(row) for row in old.pool.obs.tolist()}
    fresh = sum(tuple(row) not in known for row in made.pool.obs.tolist())
    assert len(made.pool) == 900
    assert fresh == round(900 * data.steps / (old.notes["transitions"] + data.steps))
    assert made.states is not None  # in the same order as the transitions
    for end, obs in enumerate((made.pool.obs, made.pool.next_obs)):
        assert torch.allclose(made.states[:, end, 0].float(), obs[:, 3], atol=6 * slide.NOISE)


def test_a_killed_run_leaves_no_model_and_goes_on_to_the_same_one(
    old: Model, home: Path, tmp_path: Path
) -> None:
    data, three = Dataset.open(home / "same"), replace(SETTINGS, epochs=3)
    weights = digest(old.dynamics.state_dict())

    def kill(report: EpochReport) -> None:
        if report.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        refresh_model(old, data, tmp_path / "killed", three, report=kill)
    assert [path.name for path in (tmp_path / "killed").iterdir()] == [STATE]
    again = refresh_model(old, data, tmp_path / "killed", three)
    whole = refresh_model(old, data, tmp_path / "whole", three)
    assert again.model.digest == whole.model.digest and again.changes == whole.changes
    assert digest(old.dynamics.state_dict()) == weights


def test_the_command_line(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, told = tmp_path / "out", tmp_path / "found.json"
    flags = FitConfig(
        continue_with=home / "changed", model=home / "model", out=out, json=told, epochs=2, device="cpu"
    )
    run_fit(flags)
    found = json.loads(told.read_text())
    assert found["model"] == Model.load(out, device="cpu").digest and len(found["curve"]) == 2
    assert found["drift"]["fixtures"]["drifted"] and set(found["groups"]) == {"fixtures", "hand", "others"}
    said = capsys.readouterr().out
    assert "drifted: fixtures" in said and "pull" in said
    with pytest.raises(UserError, match="fitted on just these data"):
        run_fit(replace(flags, model=out, out=tmp_path / "more"))
    assert not (tmp_path / "more").exists()


def test_what_has_not_drifted_is_said_too(refreshed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    show_changes(Terminal(width=80), refreshed("same").changes)
    said = capsys.readouterr().out
    assert "no drift was found" in said and "…" not in said


def test_a_tenth_of_the_rate_and_few_epochs() -> None:
    flags, spec = FitConfig(continue_with=Path("D"), model=Path("M"), out=Path("O")), make("kitchen").spec
    usual = refresh_settings(flags, spec)
    assert usual.epochs == 5 and usual.learning_rate == pytest.approx(1e-3)
    own = refresh_settings(replace(flags, epochs=7, learning_rate=0.02), spec)
    assert (own.epochs, own.learning_rate) == (7, 0.02)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"continue_with": None, "model": None}, "either --data, or --continue-with"),
        ({"data": Path("D")}, "either --data, or --continue-with"),
        ({"model": None}, "needs --model"),
        ({"data": Path("D"), "continue_with": None}, "--model is for --continue-with"),
        ({"data": Path("D"), "continue_with": None, "model": None, "replay": 0.1}, "--replay is for"),
        ({"out": Path("model/../model")}, "is the model itself"),
        ({"hidden": 32}, "--hidden cannot be given with --continue-with: the model keeps its shape"),
        ({"structure": "dense"}, "--structure cannot be given"),
        ({"members": 3}, "--members cannot be given"),
        ({"stream": True}, "--stream cannot be given with --continue-with: it is for new models only"),
        ({"choose": "rollout"}, "--choose cannot be given"),
        ({"replay": 1.0}, "below 1"),
    ],
)
def test_a_mixture_of_flags_is_one_line(changed: dict[str, Any], words: str) -> None:
    flags = FitConfig(continue_with=Path("new"), model=Path("model"), out=Path("out"))
    with pytest.raises(UserError, match=words) as raised:
        run_fit(replace(flags, **changed))
    assert "\n" not in str(raised.value)


def test_data_that_do_not_fit_are_refused_before_training(
    old: Model, home: Path, dataset: Dataset, tmp_path: Path
) -> None:
    few = slide.record(old.environment, tmp_path / "few", 3, episodes=9)
    other = "holds data of kitchen, but the model is for file:"
    cases = [(dataset, other), (few, "too few"), (Dataset.open(home / "data"), "on just these data")]
    for data, words in cases:
        with pytest.raises(UserError, match=words):
            refresh_model(old, data, tmp_path / "out", SETTINGS)
    assert not (tmp_path / "out" / MANIFEST).exists() and not (tmp_path / "out" / STATE).exists()
