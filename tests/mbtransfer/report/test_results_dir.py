"""Files that are missing, torn or odd cost their part of the report, which says so."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mbtransfer.errors import UserError
from mbtransfer.evaluation.results import append_rows, read_rows
from mbtransfer.report import write_report
from tests.mbtransfer.report.reading import page_of
from tests.mbtransfer.report.results import fake_diagnostics, fake_rows, fake_summary, fill, strip_png


@pytest.mark.parametrize("name", ["rows.csv", "fit.csv", "diagnostics.json", "summary.json", "media"])
def test_a_missing_file_costs_its_part_only(tmp_path: Path, name: str) -> None:
    (fill(tmp_path, 1, 2) / name).rename(tmp_path / "elsewhere")
    page = page_of(tmp_path)
    assert f"There is no {name}" in page.text or "no media" in page.text
    assert "Held-out tasks" in page.text


@pytest.mark.parametrize("name", ["rows.csv", "fit.csv", "diagnostics.json", "summary.json"])
def test_a_damaged_file_costs_its_part_only(tmp_path: Path, name: str) -> None:
    (fill(tmp_path, 1, 2) / name).write_bytes(b"\x00\xffnonsense")
    page = page_of(tmp_path)
    assert f"{name} could not be read" in page.text
    assert "Held-out tasks" in page.text


@pytest.mark.parametrize("name", ["rows.csv", "fit.csv", "diagnostics.json", "summary.json", "media"])
def test_one_file_alone_is_enough_for_a_report(tmp_path: Path, complete: Path, name: str) -> None:
    source = complete / name
    if source.is_dir():
        (tmp_path / name).mkdir()
        for film in source.iterdir():
            (tmp_path / name / film.name).write_bytes(film.read_bytes())
    else:
        (tmp_path / name).write_bytes(source.read_bytes())
    assert "There is no" in page_of(tmp_path).text


def test_rows_alone_give_the_same_figures_as_rows_and_summary(tmp_path: Path, complete: Path) -> None:
    (tmp_path / "rows.csv").write_bytes((complete / "rows.csv").read_bytes())
    shares = [re.findall(r"\d\d\.\d–[\d.]+%", page_of(folder).text)[:6] for folder in (tmp_path, complete)]
    assert shares[0] == shares[1] != []


def test_the_last_row_torn_by_a_kill_is_left_out(tmp_path: Path) -> None:
    append_rows(tmp_path / "rows.csv", fake_rows(seeds=1, episodes=2))
    with open(tmp_path / "rows.csv", "ab") as file:
        file.write(b"torn_task,task,source,mp")
    assert "torn task" not in page_of(tmp_path).text


@pytest.mark.parametrize("make", [False, True])
def test_a_folder_without_anything_known_is_one_clear_line(tmp_path: Path, make: bool) -> None:
    folder = tmp_path / "results"
    if make:
        folder.mkdir()
        (folder / "notes.txt").write_text("hello")
    with pytest.raises(UserError) as caught:
        write_report(folder)
    assert "\n" not in str(caught.value) and "results" in str(caught.value)
    assert not (folder / "report.html").exists()


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        ("horizon_error", {"horizon": [1, 2], "model": [0.1], "naive": [0.2, 0.3]}, "differ in length"),
        ("horizon_error", {"horizon": [1], "model": ["a"], "naive": [0.2]}, "does not hold plain numbers"),
        ("horizon_error", {"horizon": [1], "model": [None], "naive": [0.2]}, "no finite numbers"),
        ("disagreement", None, "has no “disagreement”"),
        ("reward", "nothing", "not a list of tasks"),
        ("check", 3, "not a table"),
    ],
)
def test_a_part_that_cannot_be_drawn_says_why(tmp_path: Path, part: str, value: Any, said: str) -> None:
    diagnostics = {**fake_diagnostics(), part: value}
    (tmp_path / "diagnostics.json").write_text(json.dumps(diagnostics))
    assert said in page_of(tmp_path).text


@pytest.mark.parametrize("value", [None, "x", -1, float("nan"), 1e300, [[1]]])
def test_odd_values_in_a_summary_never_stop_the_report(tmp_path: Path, value: Any) -> None:
    append_rows(tmp_path / "rows.csv", fake_rows(seeds=1, episodes=1))
    summary = fake_summary(read_rows(tmp_path / "rows.csv"))
    (tmp_path / "rows.csv").unlink()
    for keys in (list(summary), ["splits", "adapt", "wall_seconds"], ["tasks", "labels", "plan_ms"]):
        broken = {**summary, **dict.fromkeys(keys, value)}
        (tmp_path / "summary.json").write_text(json.dumps(broken))
        assert "mbtransfer report" in page_of(tmp_path).text


def test_a_film_that_is_no_film_is_left_out_by_name(tmp_path: Path) -> None:
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "breakfast.png").write_bytes(strip_png())
    (tmp_path / "media" / "breakfast.mp4").write_bytes(b"half a fi")
    page = page_of(tmp_path)
    assert "breakfast.mp4 is left out" in page.text
    assert "video" not in page.tags and "img" in page.tags
