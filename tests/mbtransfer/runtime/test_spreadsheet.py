"""CSV files that are opened in a spreadsheet run no formula, and are read again as they were written."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbtransfer.evaluation.results import append_rows, read_rows
from mbtransfer.runtime.spreadsheet import as_cell, of_cell
from mbtransfer.runtime.streams import single_line
from mbtransfer.runtime.terminal import Terminal
from mbtransfer.sweep.config import SweepFile
from mbtransfer.sweep.sweep import write_results
from mbtransfer.sweep.trial import Trial
from tests.mbtransfer.evaluation.test_results import ROW

RUN = [
    "=1+1",
    '=HYPERLINK("http://x")',
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "＝1+1",
    "-inf",
    "=",
]
KEPT = ["drawer_half", "a=b", "-1.5", "+3", "-.5e-3", "'quoted'", "", " =1"]


@pytest.mark.parametrize("text", RUN, ids=map(ascii, RUN))
def test_text_that_would_run_begins_with_an_apostrophe(text: str) -> None:
    assert as_cell(text) == f"'{text}"
    assert of_cell(f"'{text}") == text


@pytest.mark.parametrize("value", [*KEPT, -1.5, -1, None, True, float("-inf")], ids=ascii)
def test_all_else_stays(value: object) -> None:
    assert as_cell(value) is value


@given(st.text("='-+@1.\ta"))
def test_what_is_written_is_read_again(text: str) -> None:
    cell = as_cell(text)
    assert isinstance(cell, str) and of_cell(cell) == text


def test_rows_run_nothing_and_are_read_again(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    names = [single_line(name) for name in (*RUN, "'=1", "''=1", *filter(None, KEPT))]
    rows = [replace(ROW, task=name, planner=name, return_=-1.5) for name in names]
    append_rows(path, rows[:4])
    append_rows(path, rows[4:])
    with path.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert not [cell for line in lines for name in ("task", "planner") if (cell := line[name])[0] in "=@＝"]
    assert {line["return_"] for line in lines} == {"-1.5"}
    found = read_rows(path)
    assert found["task"].tolist() == found["planner"].tolist() == names
    assert set(found["return_"]) == {-1.5}


def test_results_of_a_sweep_run_nothing(tmp_path: Path) -> None:
    parameters = {"word": {"values": ["=1+1", "b"]}, "rate": {"value": 1}}
    content = {"method": "grid", "metric": {"name": "loss"}, "parameters": parameters}
    trial = Trial(0, {"word": "=1+1", "rate": -1.5}, "failed", note="@SUM(A1)")
    write_results(SweepFile(tmp_path / "x.yaml", content, None), [trial], tmp_path, Terminal(quiet=True))
    table = pd.read_csv(tmp_path / "results.csv")
    assert list(table.columns) == ["trial", "state", "metric", "seconds", "word", "rate", "note"]
    assert table.loc[0, ["word", "rate", "note"]].tolist() == ["'=1+1", -1.5, "'@SUM(A1)"]
