"""The report: one file that opens anywhere and shows what is there."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from urllib.parse import urlparse

import numpy as np

from mbtransfer.evaluation.results import append_rows, read_rows
from mbtransfer.report import write_report
from mbtransfer.runtime.streams import printable, single_line
from tests.mbtransfer.report.reading import Page, page_of
from tests.mbtransfer.report.results import TASKS, fake_diagnostics, fake_row, fake_summary, fill, strip_png

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


def test_the_policy_allows_the_one_style_sheet_and_nothing_else_to_have_a_say(
    complete: Path, page: Page
) -> None:
    (sheet,) = re.findall(
        r"<style>(.*?)</style>", write_report(complete).read_text(encoding="utf-8"), re.DOTALL
    )
    checksum = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    (policy,) = [value for name, value in page.attributes if name == "content" and "default-src" in value]
    assert dict(part.split(maxsplit=1) for part in policy.split("; ")) == {
        "default-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "img-src": "data:",
        "media-src": "data:",
        "style-src": f"'sha256-{checksum}'",
    }
    names = {name for name, _ in page.attributes}
    assert "style" not in names and not any(name.startswith("on") for name in names)
    assert page.tags.count("style") == 1


def test_every_class_of_a_drawing_has_its_rule(complete: Path, page: Page) -> None:
    rules = dict(
        re.findall(r"^\.(s\d+)\{(.+)\}$", write_report(complete).read_text(encoding="utf-8"), re.MULTILINE)
    )
    classes = {one for name, value in page.attributes if name == "class" for one in value.split()}
    assert {one for one in classes if re.fullmatch(r"s\d+", one)} == set(rules)
    text = " ".join(rules.values())
    assert "stroke: var(--learned)" in text and "font-size" in text and "left:60.0%" in text
    assert "&" not in text


NASTY = [
    '<script>alert("$x_1$")</script>',
    '"><script>alert(1)</script>',
    "' onload='alert(1)' style='x",
    "javascript:alert(1)",
    "</style><script>alert(1)</script>",
    "]]></svg><img src=x onerror=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt;",
    '<g id="a" style="fill: red">',
    "#0a0a01",
    "\x1b[31mred\u202ecod\x00\x9b\r\n\tend",
]


def test_everything_shown_is_escaped(tmp_path: Path) -> None:
    fill(tmp_path)
    shown = [single_line(name) for name in NASTY]
    generator, diagnostics = np.random.default_rng(0), fake_diagnostics()
    append_rows(tmp_path / "rows.csv", [fake_row(generator, name, "user", 0, 0, 0.0) for name in shown])
    summary = fake_summary(read_rows(tmp_path / "rows.csv"))
    for i, name in enumerate(NASTY):
        diagnostics["check"]["fixture"][i] = diagnostics["reward"][i]["task"] = name
        summary["settings"][name], summary["wall_seconds"][name] = name, 3.0
        film = name.replace("/", "").replace("\0", "")
        (tmp_path / "media" / f"{film}.png").write_bytes(strip_png())
    summary["settings"]["env"] = "".join(NASTY)
    (tmp_path / "diagnostics.json").write_text(json.dumps(diagnostics))
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    page = page_of(tmp_path)
    assert page.tags.count("style") == 1 and "script" not in page.tags and "b" in page.tags
    names = {attribute for attribute, _ in page.attributes}
    assert "style" not in names and not any(attribute.startswith("on") for attribute in names)
    assert all(link.startswith(("#", "data:")) for link in page.links)
    for name in shown:
        assert page.text.count(name.replace("_", " ")) >= 4 and page.text.count(name) >= 2
        assert ("aria-label", f"Reward of {name}, predicted against true") in page.attributes
    assert sum(value.startswith("Film strip of ") for name, value in page.attributes) == 6 + len(NASTY)
    assert f"One model of one {''.join(shown)}, learned" in page.text
    assert not [char for char in page.text if char != "\n" and printable(char) != char]
