"""`mbtransfer diagnose` on a model that nothing was learned by."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mbtransfer.cli.main import main

TINY = ["--episodes", "1", "--workers", "1", "--candidates", "4", "--iterations", "1", "--horizon", "2"]
TINY += ["--labels", "100"]


@pytest.fixture
def model(fitted_folder: Path) -> Path:
    return fitted_folder


@pytest.mark.slow
def test_every_combination_is_shown(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"planner": "icem", "candidates": 8, "iterations": 1, "settings": ("elites=2",)}
    monkeypatch.setattr("mbtransfer.diagnostics.diagnose.LARGER", small)
    line = [
        "diagnose",
        "--model",
        str(model),
        "--task",
        "drawer_open",
        *TINY,
        "--json",
        str(tmp_path / "d.json"),
    ]
    assert main(line) == 0
    shown = capsys.readouterr().out
    assert shown.count("%") == 8 and "success lost to each cause" in shown
    found = json.loads((tmp_path / "d.json").read_text())
    assert len(found["success"]) == 8 and set(found["loss"]) == {"reward head", "model", "search"}


def test_a_task_is_needed(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagnose", "--model", str(model)]) == 2
    assert "give --task NAME or --task-file FILE" in capsys.readouterr().err
