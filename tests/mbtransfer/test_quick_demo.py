"""The quick demo: a report and rows of a few tasks, from one command, and again without doing anything twice."""

import json
from pathlib import Path

import pytest

from mbtransfer.cli.main import main
from mbtransfer.demo import quick
from tasks.recipe import Recipe
from tasks.registry import make


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of almost nothing, and few tasks."""
    for name, value in {"STEPS": 2_000, "EPOCHS": 1, "TASKS": 2, "RECIPES": 0, "EPISODES": 1}.items():
        monkeypatch.setattr(quick, name, value)


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_it_ends_with_a_report_and_continues(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = [
        "demo",
        "--quick",
        "--out",
        str(tmp_path / "demo"),
        "--no-video",
        "--workers",
        "1",
        "--device",
        "cpu",
    ]
    assert main(line) == 0
    shown = capsys.readouterr().out
    assert "report.html" in shown and "next: mbtransfer plan --model" in shown
    summary = json.loads((tmp_path / "demo" / "summary.json").read_text())
    assert {task["split"] for task in summary["tasks"]} == {"held_out"} and len(summary["tasks"]) == 2
    assert (
        summary["transitions"] >= 2_000
        and "held-out" in (tmp_path / "demo" / "report.html").read_text().lower()
    )
    rows = (tmp_path / "demo" / "rows.csv").read_text()
    assert main(line) == 0
    assert "kept from before" in capsys.readouterr().out
    assert (tmp_path / "demo" / "rows.csv").read_text() == rows
    assert main([*line, "--seed", "1"]) == 2
    assert "give another --out" in capsys.readouterr().err


def test_it_takes_held_out_tasks_of_many_kinds_and_a_recipe() -> None:
    kitchen = make("kitchen")
    asked = quick.chosen(kitchen)
    assert len(asked) == quick.TASKS + quick.RECIPES
    assert isinstance(asked[-1], Recipe)
    assert all(one.split == "held_out" for one in asked if not isinstance(one, Recipe))
    assert len({one.fixtures[0].name for one in asked if not isinstance(one, Recipe)}) >= 3
