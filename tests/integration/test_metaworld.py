"""Meta-World by the commands that every environment has, at a tiny budget."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from mbtransfer.cli.main import main
from mbtransfer.evaluation.results import read_rows

FIT = ("--epochs", "2", "--hidden", "16", "--members", "2")
SEARCH = (
    "--horizon",
    "4",
    "--candidates",
    "8",
    "--iterations",
    "1",
    "--episodes",
    "1",
    "--tasks",
    "drawer_close",
)


@pytest.fixture(autouse=True)
def _own_warnings() -> Iterator[None]:
    """`main` decides how warnings are shown; not beyond the test."""
    with warnings.catch_warnings():
        yield


@pytest.mark.slow
def test_collect_fit_and_evaluate(tmp_path: Path) -> None:
    pytest.importorskip("metaworld", reason="Meta-World is not installed; docs/environments.md says how")
    data, model, rows = tmp_path / "data", tmp_path / "model", tmp_path / "rows.csv"
    one, cpu = ("--workers", "1"), ("--device", "cpu")
    world = ("--env", "metaworld:drawer")
    for line in (
        ("collect", *world, "--out", data, "--steps", "300", "--episode-steps", "30", "--near", "0.5", *one),
        ("fit", "--data", data, "--out", model, *FIT, *cpu),
        ("evaluate", "--model", model, "--rows", rows, *SEARCH, *one, *cpu),
    ):
        assert main([str(word) for word in line]) == 0
    assert read_rows(rows).task.tolist() == ["drawer_close"]


@pytest.mark.slow
def test_the_oracle_shuts_the_drawer(tmp_path: Path) -> None:
    pytest.importorskip("metaworld", reason="Meta-World is not installed; docs/environments.md says how")
    rows = tmp_path / "rows.csv"
    line = (
        "evaluate",
        "--env",
        "metaworld:drawer",
        "--dynamics",
        "oracle",
        "--reward",
        "true",
        "--rows",
        rows,
    )
    search = ("--horizon", "10", "--candidates", "16", "--settings", "knots=3", "--episodes", "1")
    assert main([str(word) for word in (*line, *search, "--tasks", "drawer_close", "--workers", "1")]) == 0
    assert read_rows(rows).success.all()


def test_without_meta_world_it_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tasks.metaworld.scenes.find_spec", lambda name: None)
    assert main(["tasks", "--env", "metaworld:lever"]) == 2
    said = capsys.readouterr().err
    assert "pip install --no-deps 'metaworld==3.1.*'" in said and said.count("\n") == 1
