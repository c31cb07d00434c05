"""The model with which is evaluated: its labels, when it is read anew, its precision."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from mbtransfer.errors import UserError
from mbtransfer.evaluation.setup import Setup


def test_more_labels_than_the_pool_holds_are_refused(model: Path) -> None:
    with pytest.raises(UserError, match="200 transitions"):
        Setup(model=str(model), labels=1000, device="cpu").pilot()


def test_a_model_that_was_fitted_anew_is_read_anew(tmp_path: Path, model: Path) -> None:
    copied = tmp_path / "model"
    shutil.copytree(model, copied)
    setup = Setup(model=str(copied), device="cpu")
    first = setup.load()
    assert setup.load() is first
    for file in copied.iterdir():
        os.utime(file, ns=(1, 1))
    assert setup.load() is not first


def test_precision_is_decided_once_for_all_processes(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gains = iter((3.0, 0.1))
    monkeypatch.setattr("world_models.precision._gain", lambda device: next(gains))
    setup = Setup(model=str(model), device="cpu").settled()
    assert setup.precision == "bfloat16"
    assert setup.settled() == setup
