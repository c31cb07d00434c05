"""Rows that are there are kept, and not mixed with others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mbtransfer.errors import UserError
from mbtransfer.evaluation import evaluate_tasks
from mbtransfer.evaluation.evaluate import evaluate_runs
from mbtransfer.evaluation.parallel import make_runs
from mbtransfer.evaluation.results import append_rows, read_rows
from mbtransfer.evaluation.results_store import UnfinishedRowsWarning, continued, read_results
from mbtransfer.mpc.controller import Controller
from tests.mbtransfer.evaluation.tiny import KITCHEN, SETUP, fastest_in, quiet
from world_models.dynamics.precision import Precision


def test_a_rerun_does_only_what_is_missing(tmp_path: Path) -> None:
    rows, runs = tmp_path / "rows.csv", make_runs([KITCHEN.task("light_on")], seeds=(0, 1), episodes=1)
    evaluate_runs(SETUP, runs[:1], rows=rows, console=quiet())
    first = rows.read_bytes()
    frame = evaluate_runs(SETUP, runs, rows=rows, console=quiet())
    assert rows.read_bytes().startswith(first)
    assert frame["seed"].tolist() == [0, 1] == read_rows(rows)["seed"].tolist()
    complete = rows.read_bytes()
    assert len(evaluate_runs(SETUP, runs, rows=rows, console=quiet())) == 2
    assert rows.read_bytes() == complete


def test_a_run_that_was_cut_short_is_done_again(tmp_path: Path) -> None:
    rows, runs = tmp_path / "rows.csv", make_runs([KITCHEN.task("light_on")], seeds=(0,), episodes=2)
    whole = evaluate_runs(SETUP, runs, rows=rows, console=quiet())
    lines = rows.read_bytes().splitlines(keepends=True)
    rows.write_bytes(b"".join(lines[:2]) + lines[2][:20])
    with pytest.warns(UnfinishedRowsWarning, match="lacks episodes of task light_on 0"):
        assert len(read_results(rows)) == 1
    again = evaluate_runs(SETUP, runs, rows=rows, console=quiet())
    assert again.drop(columns="plan_ms").equals(whole.drop(columns="plan_ms"))
    assert read_results(rows)["episode"].tolist() == [0, 1]


@pytest.mark.parametrize("begun", ["float32", "bfloat16"])
def test_rows_go_on_in_the_precision_that_they_were_begun_with(
    begun: Precision, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other: Precision = "bfloat16" if begun == "float32" else "float32"
    rows, runs = tmp_path / "rows.csv", make_runs([KITCHEN.task("light_on")], seeds=(0, 1), episodes=1)
    setup = replace(SETUP, dynamics="learned", reward="true", model=str(model), device="cpu")
    fastest_in(begun, monkeypatch)
    evaluate_runs(setup, runs[:1], rows=rows, console=quiet())
    fastest_in(other, monkeypatch)
    assert continued(setup, None).resolve().config.precision == other
    assert continued(setup, rows).precision == begun
    assert len(evaluate_runs(setup, runs, rows=rows, console=quiet())) == 2
    with pytest.raises(UserError, match=f"precision was {begun}, now is {other}"):
        evaluate_runs(replace(setup, precision=other), runs, rows=rows, console=quiet())


def test_rows_of_other_settings_are_not_mixed_in(tmp_path: Path) -> None:
    rows, task = tmp_path / "rows.csv", [KITCHEN.task("light_on")]
    evaluate_runs(SETUP, make_runs(task, (0,), 1), rows=rows, console=quiet())
    before = rows.read_bytes()
    with pytest.raises(UserError, match="episodes was 1, now is 2"):
        evaluate_runs(SETUP, make_runs(task, (0,), 2), rows=rows, console=quiet())
    with pytest.raises(UserError, match=r"light_on, seed 0, made with other settings \(planner_settings"):
        evaluate_runs(replace(SETUP, candidates=12), make_runs(task, (0,), 1), rows=rows, console=quiet())
    assert rows.read_bytes() == before


def test_rows_without_their_settings_are_not_trusted(tmp_path: Path, controller: Controller) -> None:
    rows, task = tmp_path / "rows.csv", [KITCHEN.task("light_on")]
    append_rows(rows, evaluate_tasks(controller, task, episodes=1))
    with pytest.raises(UserError, match="does not say which"):
        evaluate_runs(SETUP, make_runs(task, (0,), 1), rows=rows, console=quiet())
