"""`mbtransfer compare` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mbtransfer.cli.main import main
from mbtransfer.transfer.oracle import Oracle

SHORT = ["--episodes", "1", "--labels", "50", "--targets", "drawer_half"]


def test_table_rows_and_picture(
    fitted_folder: Path, method_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(Oracle, "lacks", lambda self, environment: "time")
    out = tmp_path / "out"
    line = ["compare", "--model", str(fitted_folder), "--out", str(out), "--methods", "still", *SHORT]
    line += ["--method-file", str(method_file)]
    assert main(line) == 0
    shown = capsys.readouterr().out
    assert "oracle is left out: kitchen lacks time" in shown and "still" in shown
    summary = json.loads((out / "summary.json").read_text())
    assert [entry["method"] for entry in summary["methods"]] == ["random", "still"]
    assert {path.name for path in out.iterdir()} == {
        "runs", "runs.csv", "summary.json", "table.md", "success-against-time.png",
    }  # fmt: skip
    assert len((out / "runs.csv").read_text().splitlines()) == 3
    method_file.write_text(method_file.read_text() + "# changed")
    assert main(line) == 2
    assert "other settings (code was" in capsys.readouterr().err


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
