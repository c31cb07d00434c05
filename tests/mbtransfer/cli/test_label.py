"""`mbtransfer label`, and what the other commands make of its files."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pytest

from mbtransfer.cli.main import main


@pytest.fixture
def label(fitted_folder: Path, tmp_path: Path) -> list[str]:
    return ["label", "--model", str(fitted_folder), "--out", str(tmp_path / "pull.csv")]


def test_a_task_labels_actively_and_is_compared_with_random_labels(
    label: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gain = tmp_path / "gain.json"
    assert main([*label, "--task", "drawer_open", "--active", "--count", "22", "--json", str(gain)]) == 0
    assert "at random: rank error" in capsys.readouterr().out
    batches = json.loads(gain.read_text())
    assert [batch["labels"] for batch in batches] == [20, 21, 22]
    assert batches[0]["rank_error"] == batches[0]["random_rank_error"] < 0.5
    assert len(pd.read_csv(tmp_path / "pull.csv")["reward"].dropna()) == 22


def test_a_spreadsheet_is_filled_in_batch_by_batch(
    label: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = [*label, "--count", "24", "--active"]
    assert main(line) == 0 and main(line) == 0
    assert "fill in reward and success (1 or 0) of 20 rows and run" in capsys.readouterr().out
    frame = pd.read_csv(tmp_path / "pull.csv")
    assert len(frame) == 20 and frame["reward"].isna().all()
    frame.assign(reward=-frame["next_drawer"], success=0).to_csv(tmp_path / "pull.csv", index=False)
    assert main(line) == 0
    assert pd.read_csv(tmp_path / "pull.csv")["reward"].isna().sum() == 1
    assert "held-out pairs" in capsys.readouterr().out


def test_answers_of_a_person_are_kept(
    label: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = [*label, "--count", "10", "--person"]
    monkeypatch.setattr("sys.stdin", io.StringIO("1.5\ny\nmuch\n-2\nperhaps\nn\n7\n"))
    assert main(line) == 130
    shown = capsys.readouterr().out
    assert "3 of 10" in shown and "drawer" in shown and "'much' is not a finite number" in shown
    monkeypatch.setattr("sys.stdin", io.StringIO("3\ny\n" * 8))
    assert main(line) == 0
    frame = pd.read_csv(tmp_path / "pull.csv")
    assert (
        frame["reward"].tolist() == [1.5, -2.0] + [3.0] * 8 and frame["success"].tolist() == [1, 0] + [1] * 8
    )


def test_labels_can_begin_with_another_file(label: list[str], tmp_path: Path) -> None:
    assert main([*label, "--task", "drawer_open", "--count", "20"]) == 0
    out = str(tmp_path / "more.csv")
    line = [*label[:-1], out, "--labels-file", label[-1], "--task", "drawer_open", "--count", "30"]
    assert main(line) == 0 and main(line) == 0
    assert len(pd.read_csv(out)) == 30 and pd.read_csv(out)[:20].equals(pd.read_csv(label[-1]))


def test_rewards_that_are_not_finite_are_refused(
    label: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    function = "reward = lambda obs, action, next_obs: obs[..., 0] / (obs.shape[0] != 20)\n"
    (tmp_path / "mine.py").write_text(function + "success = lambda obs: obs[..., 0] > 0\n")
    assert main([*label, "--task-file", str(tmp_path / "mine.py"), "--count", "20"]) == 2
    told = capsys.readouterr().err
    assert "mine.py:1: reward of task 'mine' is NaN or infinite in 20 of 20 transitions to label" in told


def test_equal_rewards_teach_nothing_and_diagnose_needs_a_function(
    label: list[str], fitted_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*label, "--count", "20"]) == 0
    pd.read_csv(tmp_path / "pull.csv").assign(reward=1, success=0).to_csv(tmp_path / "pull.csv", index=False)
    assert main([*label, "--count", "20"]) == 0
    assert "20 labels: all rewards are the same" in capsys.readouterr().out
    assert main(["diagnose", "--model", str(fitted_folder), "--task", label[-1]]) == 2
    assert "is known by labels alone: there is no reward to compare" in capsys.readouterr().err


@pytest.mark.slow
def test_a_label_file_is_evaluated_and_checked(
    label: list[str], fitted_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*label, "--task", "drawer_open", "--count", "60"]) == 0
    model, told = (
        ["--model", str(fitted_folder)],
        "success is judged by the reward head; there is no function",
    )
    tiny = ["--candidates", "4", "--iterations", "1", "--horizon", "2", "--rows", str(tmp_path / "rows.csv")]
    line = ["evaluate", *model, "--tasks", label[-1], "--episodes", "1", "--workers", "1", *tiny]
    assert main(line) == 0 and main(line) == 0
    assert told in capsys.readouterr().out
    rows = pd.read_csv(tmp_path / "rows.csv")
    assert rows[["task", "reward", "labels"]].to_numpy().tolist() == [["pull", "learned", 60]]
    assert main(["check", *model, "--task", label[-1]]) == 0
    assert told in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--task", "drawer_open", "--person"], "--task or --task-file and --person are given"),
        (["--task", "drawer_opn"], "drawer_open"),
        (["--count", "5000"], "--count is more than the model's pool offers"),
        (["--count", "20", "--active"], "--active begins with 20 random labels"),
        (["--successes", "done.csv", "--active"], "--active does not go with --successes"),
        (["--labels-file", "none.csv"], "none.csv: cannot be read"),
    ],
)
def test_mistakes(
    label: list[str], flags: list[str], words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main([*label, *flags]) == 2
    told = capsys.readouterr().err
    assert words in told and told.count("\n") == 1
    assert not (tmp_path / "pull.csv").exists()
    assert main([*label[:-1], str(tmp_path / "labels.txt"), *flags]) == 2
    assert "does not end with .csv" in capsys.readouterr().err


def test_labels_from_examples(label: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*label, "--task", "drawer_open", "--count", "60"]) == 0
    frame = pd.read_csv(tmp_path / "pull.csv")
    ranked = frame.sort_values("reward", ascending=False)
    said = pd.DataFrame({"pair": [*range(30)] * 2, "better": [1] * 30 + [0] * 30}, ranked.index)
    pd.concat([ranked, said], axis=1).to_csv(tmp_path / "pairs.csv", index=False)
    frame.nlargest(8, "drawer").to_csv(tmp_path / "done.csv", index=False)
    for flag, name in (("--successes", "done"), ("--preferences", "pairs")):
        line = [*label[:-1], str(tmp_path / f"of_{name}.csv"), flag, str(tmp_path / f"{name}.csv")]
        assert main([*line, "--count", "50"]) == 0
        assert len(pd.read_csv(tmp_path / f"of_{name}.csv")["reward"].dropna()) >= 50
        assert main(line) == 2 and "exists; labels from examples cannot" in capsys.readouterr().err
