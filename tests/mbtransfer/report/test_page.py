"""The report: one file that opens anywhere and shows what is there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import urlparse

import numpy as np

from mbtransfer.report import write_report
from mbtransfer.rows import append_rows, read_rows
from tests.mbtransfer.report.reading import Page, page_of
from tests.mbtransfer.report.results import TASKS, fake_diagnostics, fake_row, fake_summary, fill

TITLES = (
    "Success by labels per head",
    "Adapting to a new task",
    "Loss of the dynamics",
    "Prediction error by horizon",
    "Disagreement against error",
    "Warning before running",
    "Reward, predicted against true",
    "Time of one decision",
    "Where the time went",
    "Settings",
)


def test_a_complete_folder_leaves_nothing_missing(page: Page) -> None:
    assert "There is no" not in page.text
    assert all(title in page.text for title in TITLES)
    assert page.tags.count("video") == len(TASKS["recipes"])
    assert page.tags.count("img") == len(TASKS["recipes"])
    for names in TASKS.values():
        assert all(name.replace("_", " ") in page.text for name in names)


def test_the_file_needs_no_network_and_no_script(complete: Path, page: Page) -> None:
    assert "script" not in page.tags
    assert all(link.startswith("#") or urlparse(link).scheme == "data" for link in page.links)
    html = (complete / "report.html").read_text()
    assert not re.search(r"url\((?!#)|@import", html)


def test_identifiers_in_the_page_are_unique(page: Page) -> None:
    ids = page.ids
    assert len(ids) == len(set(ids))


def test_the_file_stays_small_without_videos(tmp_path: Path) -> None:
    fill(tmp_path)
    for film in (tmp_path / "media").glob("*.mp4"):
        film.unlink()
    assert write_report(tmp_path).stat().st_size < 2_000_000


def test_the_same_files_give_the_same_bytes(complete: Path) -> None:
    first = write_report(complete).read_bytes()
    assert write_report(complete).read_bytes() == first


def test_a_report_is_written_over_the_last_one_and_leaves_nothing_else(complete: Path) -> None:
    before = {path.name for path in complete.iterdir()} | {"report.html"}
    assert write_report(complete) == complete / "report.html"
    assert {path.name for path in complete.iterdir()} == before


def test_figures_hold_text_as_text(page: Page) -> None:
    text = page.text
    assert "steps ahead" in text
    assert "labelled transitions per reward head" in text
    assert "mathdefault" not in text


NASTY = '<script>alert("$x_1$")</script>'


def test_everything_shown_is_escaped(tmp_path: Path) -> None:
    fill(tmp_path)
    nasty = fake_row(np.random.default_rng(0), NASTY, "user", 0, 0, 1.0)
    append_rows(tmp_path / "rows.csv", [nasty])
    diagnostics = fake_diagnostics()
    diagnostics["check"]["fixture"][0] = NASTY
    diagnostics["reward"][0]["task"] = NASTY
    (tmp_path / "diagnostics.json").write_text(json.dumps(diagnostics))
    summary = fake_summary(read_rows(tmp_path / "rows.csv"))
    summary["settings"][NASTY] = NASTY
    summary["wall_seconds"][NASTY] = 3.0
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    page = page_of(tmp_path)
    assert "script" not in page.tags
    assert page.text.count(NASTY.replace("_", " ")) >= 3 and page.text.count(NASTY) >= 2
