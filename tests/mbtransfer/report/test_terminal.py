"""The table that a terminal shows at the end."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest

from mbtransfer.evaluation.results import read_rows
from mbtransfer.evaluation.statistics import summarise
from mbtransfer.report.terminal import print_table
from mbtransfer.runtime.terminal import Terminal


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_final_table_names_splits_intervals_worst_and_oracle(complete: Path, width: int) -> None:
    console = Terminal(file=StringIO(), width=width)
    summary = summarise(read_rows(complete / "rows.csv"))
    print_table(summary, console)
    assert isinstance(console.file, StringIO)
    printed = console.file.getvalue()
    assert all(len(line) <= width for line in printed.splitlines())
    assert f"{100 * summary['splits']['held_out']['success_mean']:.1f}%" in printed
    assert "oracle" in printed
    assert ("right_knob_low" in printed) == (width >= 90)


def test_the_final_table_takes_names_as_they_are_and_gaps_as_dashes() -> None:
    console = Terminal(file=StringIO(), width=120)
    task = {"name": "[red]x[/red]", "split": "user", "episodes": 4, "success_rate": 0.5}
    print_table({"splits": {"user": {"success_mean": None, "success_min": 0.5}}, "tasks": [task]}, console)
    print_table({}, console)
    assert isinstance(console.file, StringIO)
    printed = console.file.getvalue()
    assert "[red]x[/red]" in printed and "–" in printed and "No episode was evaluated." in printed
