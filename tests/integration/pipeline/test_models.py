"""What the commands make of damaged models and of names that do not exist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.integration.pipeline.line import USES, Folder, cut, refused, using
from world_models.checkpoint.storage import load_tensors, save_tensors

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("command", USES)
@pytest.mark.parametrize("part", ["dynamics-", "pool-", "manifest"])
def test_a_truncated_model_is_one_line(
    own: Path, command: str, part: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (file,) = (own / "model").glob(f"{part}*")
    cut(file)
    folder = Folder(own)
    assert file.name in refused(capfd, *using(command, own))
    assert folder.unharmed()


@pytest.mark.parametrize("command", USES)
def test_a_model_of_another_world_or_none_is_one_line(
    own: Path, command: str, capfd: pytest.CaptureFixture[str]
) -> None:
    line = using(command, own)
    path = own / "model" / "manifest.json"
    text = path.read_text()
    path.write_text(text.replace('"version": 1', '"version": 99', 1))
    assert "format version 99" in refused(capfd, *line)
    path.write_text(text.replace('"kitchen"', '"garage"'))
    assert "damaged or was edited" in refused(capfd, *line)
    path.unlink()
    assert "not a model folder" in refused(capfd, *line)
    assert sorted(own.iterdir()) == [own / "data", own / "model"]


def test_a_model_that_does_not_fit_its_environment(
    own: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from tasks.registry import make

    kitchen = make("kitchen")
    fewer = replace(kitchen, spec=replace(kitchen.spec, fixtures=kitchen.spec.fixtures[:-1]))
    monkeypatch.setattr("mbtransfer.model.make_recorded", lambda *_, **__: fewer)
    folder = Folder(own)
    assert "another kitchen" in refused(capfd, *using("plan", own))
    assert folder.unharmed()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("evaluate --tasks tap_opn", "did you mean 'tap_open'?"),
        ("evaluate --recipes teaa", "did you mean"),
        ("evaluate --tasks move(tap,9)", "its range is"),
        ("evaluate --tasks move(tapp,0)", "did you mean 'tap'?"),
        ("evaluate --tasks tap_open --planner mpi", "did you mean 'mppi'?"),
        ("evaluate --tasks tap_open --labels 999999", "labels"),
        ("evaluate --tasks tap_open --task-file nowhere.py", "nowhere.py"),
        ("plan --task reach(0,0,nan)", "reach"),
        ("check --task tap_opn", "did you mean 'tap_open'?"),
        ("check --recipe nowhere.yaml", "nowhere.yaml"),
        ("adapt --task tap_opn --episodes 1 --out x", "did you mean 'tap_open'?"),
        ("adapt --task tap_open --episodes -1 --out x", "--episodes"),
    ],
)
def test_unknown_names_and_wrong_targets(
    model: Path, line: str, words: str, capfd: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    command, *rest = line.split()
    folder = Folder(model)
    assert words in refused(capfd, command, "--model", model, "--device", "cpu", *rest)
    assert folder.unharmed() and not list(tmp_path.iterdir())


def test_a_model_with_nan_in_it_is_not_planned_with(own: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (pool,) = (own / "model").glob("pool-*")
    tensors: dict[str, Any] = load_tensors(pool)[0]
    tensors["obs"] = torch.full_like(tensors["obs"], torch.nan)
    save_tensors(pool, tensors)
    assert "finite" in refused(capfd, *using("plan", own))
