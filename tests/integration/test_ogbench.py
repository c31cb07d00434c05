"""OGBench by the commands that every environment has, at a tiny budget."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from mbtransfer.cli.main import main
from mbtransfer.data import Dataset
from mbtransfer.evaluation.results import read_rows

SEARCH = (
    "--horizon",
    "8",
    "--candidates",
    "24",
    "--iterations",
    "2",
    "--settings",
    "knots=3",
    "--episodes",
    "1",
)
ONE = ("--workers", "1")


@pytest.fixture(autouse=True)
def _own_warnings() -> Iterator[None]:
    """`main` decides how warnings are shown; not beyond the test."""
    with warnings.catch_warnings():
        yield


def run(*words: object) -> int:
    return main([str(word) for word in words])


def installed() -> None:
    pytest.importorskip("ogbench", reason="OGBench is not installed; docs/ogbench.md says how")


@pytest.mark.slow
def test_collect_fit_check_and_evaluate(tmp_path: Path) -> None:
    installed()
    data, model, rows = tmp_path / "data", tmp_path / "model", tmp_path / "rows.csv"
    world = ("--env", "ogbench:cube-single")
    play = ("--behaviours", "play", "babble", "--episode-steps", 20)
    assert run("collect", *world, "--out", data, "--steps", 400, *play, *ONE) == 0
    fit = ("--epochs", 2, "--hidden", 16, "--members", 2, "--device", "cpu")
    assert run("fit", "--data", data, "--out", model, *fit) == 0
    task = ("--tasks", "task1_horizontal")
    assert run("check", "--model", model, "--task", "task1_horizontal", "--device", "cpu") == 0
    true = ("--reward", "true", "--rows", rows, "--device", "cpu")
    assert run("evaluate", "--model", model, *true, *SEARCH, *task, *ONE) == 0
    assert read_rows(rows).task.tolist() == ["task1_horizontal"]
    goals = ("--behaviours", "goals", "--model", model, "--episode-steps", 10, "--horizon", 5)
    assert run("collect", *world, "--out", data, "--steps", 20, *goals, *ONE) == 0
    assert Dataset.open(data).behaviours["goals"] == 2


@pytest.mark.slow
def test_the_oracle_presses_the_buttons_of_a_puzzle(tmp_path: Path) -> None:
    installed()
    rows = tmp_path / "rows.csv"
    oracle = ("--env", "ogbench:puzzle-3x3", "--dynamics", "oracle", "--reward", "true", "--rows", rows)
    search = (
        "--horizon",
        10,
        "--candidates",
        32,
        "--iterations",
        2,
        "--settings",
        "knots=4",
        "--episodes",
        1,
    )
    assert run("evaluate", *oracle, *search, "--tasks", "task1", *ONE) == 0
    assert read_rows(rows).success.all()


def test_without_ogbench_it_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tasks.ogbench.cells.find_spec", lambda name: None)
    assert main(["tasks", "--env", "ogbench:puzzle-3x3-v0"]) == 2
    said = capsys.readouterr().err
    assert "pip install 'mbtransfer[ogbench]'" in said and said.count("\n") == 1


def test_play_needs_an_environment_that_brings_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("collect", "--behaviours", "play", "--out", tmp_path / "data", "--steps", 10) == 2
    said = capsys.readouterr().err
    assert "kitchen brings no play of its own" in said and said.count("\n") == 1
    assert not (tmp_path / "data").exists()
