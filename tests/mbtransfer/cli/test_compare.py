"""`mbtransfer compare` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mbtransfer.cli.main import main
from mbtransfer.model import Model
from mbtransfer.runtime.executors import LocalExecutor
from mbtransfer.transfer.model.oracle import Oracle
from mbtransfer.transfer.streams.stream_runs import StreamRun
from tasks.task import Task

SHORT = ["--episodes", "1", "--labels", "50", "--targets", "drawer_half"]


def test_table_rows_and_picture(
    fitted_folder: Path, method_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(Oracle, "lacks", lambda self, environment: "time")
    out = tmp_path / "out"
    line = ["compare", "--model", str(fitted_folder), "--out", str(out), "--methods", "still", *SHORT]
    line += ["--method-file", str(method_file), "--workers", "1"]
    assert main(line) == 0
    shown = capsys.readouterr().out
    assert "oracle is left out: kitchen lacks time" in shown and "still" in shown
    summary = json.loads((out / "summary.json").read_text())
    assert [entry["method"] for entry in summary["methods"]] == ["random", "still"]
    assert {path.name for path in out.iterdir()} == {
        "runs", "runs.csv", "summary.json", "table.md", "report.html", "success-against-time.png",
    }  # fmt: skip
    assert len((out / "runs.csv").read_text().splitlines()) == 3
    method_file.write_text(method_file.read_text() + "# changed")
    assert main(line) == 2
    assert "other settings (code was" in capsys.readouterr().err


def test_workers_matrix_and_practice(
    fitted_folder: Path, method_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(Oracle, "lacks", lambda self, environment: "time")
    monkeypatch.setattr(LocalExecutor, "map", lambda self, job, items: ((one, job(one)) for one in items))
    told = []

    def streamed(
        model: Model, tasks: list[Task], config: object, tuning: str, seed: int, out: Path
    ) -> StreamRun:
        told.append([task.name for task in tasks])
        return StreamRun(tuning=tuning, tasks=(), seed=seed, settings={}, failed="no luck")

    monkeypatch.setattr("mbtransfer.cli.commands.compare.stream", streamed)
    out = tmp_path / "out"
    line = ["compare", "--model", str(fitted_folder), "--out", str(out), "--method-file", str(method_file)]
    line += [
        "--methods",
        "still",
        "--budget",
        "small",
        "--episodes",
        "1",
        "--targets",
        "drawer_half",
        "tap_half",
    ]
    assert main([*line, "--workers", "2", "--matrix", "--practice", "1", "0"]) == 0
    shown = capsys.readouterr().out
    assert "the matrix plays 2 times more than the 6 runs alone, and the streams 18 times" in shown
    assert "stream, shared model failed: no luck" in shown
    assert told == [["drawer_half", "tap_half"]] * 2
    summary = json.loads((out / "summary.json").read_text())
    lines = [(one["method"], one["practice"]) for one in summary["methods"]]
    assert lines == [("random", 0), ("random", 1), ("still", 0), ("still", 1)]
    assert [one["tasks"] for one in summary["matrices"]] == [["drawer_half", "tap_half"]]
    assert summary["settings"]["episodes"] == 1 and summary["settings"]["budget"] == "small"
    assert summary["settings"]["labels"] == min(1000, Model.load(fitted_folder).label_count(None))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--methods", "modle"], "no method 'modle'"),
        (["--targets", "drawr_half"], "no task 'drawr_half'"),
        (["--labels", "1000000"], "1000000 labels"),
    ],
)
def test_wrong_input_is_told_before_anything_runs(
    fitted_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    assert main(["compare", "--model", str(fitted_folder), "--out", str(tmp_path / "out"), *flags]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
