"""The rewards of `python -m benchmarks.rewards`: 25 to develop on and 15 others."""

from __future__ import annotations

from pathlib import Path

import pytest

from mbtransfer.task_file import load_task_file
from tasks.registry import make

rewards = pytest.importorskip("benchmarks.rewards.__main__", reason="a wheel comes without benchmarks")


def test_every_task_can_be_loaded_and_is_in_one_set_only() -> None:
    home, kitchen = Path(rewards.__file__).parent, make("kitchen")
    develop, held_back = (
        [task.name for task in load_task_file(home / f"{name}.py", kitchen)]
        for name in ("develop", "held_back")
    )
    assert len(set(develop)) == 25 and len(set(held_back)) == 15 and not set(develop) & set(held_back)


def test_an_unknown_condition_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.argv", ["rewards", "--model", str(tmp_path), "--conditions", "luck"])
    assert rewards.main() == 2
    assert capsys.readouterr().err.startswith("error: no condition 'luck'; there are learned; 1,000 labels;")
