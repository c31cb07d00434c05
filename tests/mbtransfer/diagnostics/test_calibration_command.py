"""`mbtransfer calibration`, and what `fit` leaves for it."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mbtransfer.cli.commands.calibration import run_calibration
from mbtransfer.config import CalibrationConfig
from mbtransfer.data import Dataset
from mbtransfer.diagnostics.calibration import SHARE, TESTED, halves, held_out_halves, recalibrate, stretches
from mbtransfer.errors import UserError
from mbtransfer.model import Model
from mbtransfer.runtime.terminal import Terminal
from world_models.errors import ModelError
from world_models.uncertainty.conformal import Intervals
from world_models.uncertainty.disagreement import DisagreementScale


def shown(config: CalibrationConfig) -> str:
    screen = io.StringIO()
    run_calibration(config, Terminal(file=screen, width=100))
    return screen.getvalue()


def test_the_two_halves_share_no_episode_and_none_with_training(dataset: Dataset) -> None:
    train, held_out = dataset.split(SHARE, seed=0)
    calibration, test = held_out_halves(dataset)
    names = [{(r.key, r.index) for r in pool.records} for pool in (train, calibration, test)]
    assert sum(map(len, names)) == len(set.union(*names)) == len(dataset)
    assert names[1] | names[2] == {(r.key, r.index) for r in held_out.records}


def test_a_single_held_out_episode_calibrates(fitted: Model, dataset: Dataset) -> None:
    first = dataset.records[0]
    single = dataset.where(lambda record: record == first)
    assert halves(single).test is None
    notes = recalibrate(fitted.dynamics, single)
    assert notes[TESTED] is None and Intervals.of(notes).groups


def test_stretches_are_no_longer_than_episodes(dataset: Dataset) -> None:
    found = stretches(dataset.pool, 0, horizon=1000, count=5)
    assert found.horizon == max(record.steps for record in dataset.records) and len(found) == 5
    with pytest.raises(UserError, match="no control steps"):
        stretches(dataset.where(lambda record: False), 0)


def test_fit_leaves_intervals_a_scale_and_their_test(fitted: Model, dataset: Dataset) -> None:
    intervals, scale = Intervals.of(fitted.notes), DisagreementScale.of(fitted.notes)
    ends = intervals.around(torch.zeros(12, 1, 53), torch.ones(12, 1, 53))
    assert bool((ends[0] < ends[1]).all()) and len(scale.quantiles) == 12
    assert fitted.notes[TESTED]["horizon"] == list(range(1, 13))
    again = recalibrate(fitted.dynamics, dataset.split(SHARE, seed=0)[1], fitted.notes["seed"])
    assert again == {name: fitted.notes[name] for name in again}
    json.dumps(fitted.notes, allow_nan=False)


@pytest.fixture
def config(fitted_folder: Path, dataset: Dataset, tmp_path: Path) -> CalibrationConfig:
    path = tmp_path / "found.json"
    return CalibrationConfig(model=fitted_folder, data=dataset.path, json=path, device="cpu")


def test_the_command_shows_and_writes(config: CalibrationConfig) -> None:
    text = shown(config)
    assert "the model's own" in text and "moving objects" in text and "note" not in text
    assert config.json
    found = json.loads(config.json.read_text())
    assert found["saved"] and found["fitted_on_data"] and "never_visited" not in found
    assert len(found["moving"]["after"]["coverage"]) == len(found["spearman"]["pool"]) == 12
    assert 0.5 < found["moving"]["after"]["coverage"][0] <= 1


def test_other_data_and_an_older_model(config: CalibrationConfig, fitted: Model, tmp_path: Path) -> None:
    notes = {name: fitted.notes[name] for name in fitted.notes if name not in ("intervals", TESTED)}
    replace(fitted, notes=notes | {"data": "other"}).save(tmp_path / "older")
    text = shown(replace(config, model=tmp_path / "older", other_data=config.data))
    assert "made now" in text and "other data" in text and "not fitted on just these data" in text
    assert config.json
    assert json.loads(config.json.read_text())["never_visited"] is None  # its own pool has been everywhere


def test_wrong_input(config: CalibrationConfig, fitted: Model, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no dataset"):
        shown(replace(config, other_data=tmp_path / "nowhere"))
    with pytest.raises(ModelError):
        shown(replace(config, model=tmp_path / "nowhere"))
    with pytest.raises(UserError, match="folder"):
        shown(replace(config, json=tmp_path))
    replace(fitted, notes=fitted.notes | {"intervals": {"groups": 3}}).save(tmp_path / "damaged")
    with pytest.raises(ModelError, match="damaged"):
        shown(replace(config, model=tmp_path / "damaged"))
