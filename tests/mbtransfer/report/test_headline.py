"""The sentence and the shares at the top: solved tasks, with intervals, or returns where nothing can be solved."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mbtransfer.evaluation.results import append_rows, read_rows
from mbtransfer.evaluation.statistics import summarise
from mbtransfer.report import write_report
from mbtransfer.report.page import percent
from tests.mbtransfer.report.reading import Page, page_of
from tests.mbtransfer.report.results import fake_row


def test_the_headline_says_what_was_done_in_numbers(page: Page) -> None:
    text = page.text
    did = r"One model of one kitchen, learned from 63,000 control steps in 65 s, "
    solved = r"solves 9\d% of held-out tasks and 9\d% of recipes that nobody trained it for\."
    assert re.search(did + solved, text)


def test_intervals_and_the_oracle_stand_beside_the_learned_model(complete: Path, page: Page) -> None:
    text = page.text
    summary = summarise(read_rows(complete / "rows.csv"))
    for splits in (summary["splits"], summary["oracle"]):
        for entry in splits.values():
            low, high = entry["success_ci95"]
            assert f"{100 * low:.1f}–{percent(high, 1)}" in text


def test_rows_with_one_way_of_running_show_no_table_of_ways(tmp_path: Path, page: Page) -> None:
    append_rows(
        tmp_path / "rows.csv", [fake_row(np.random.default_rng(0), "drawer_open", "source", 0, 0, 1.0)]
    )
    question = "Every planner, reward and number of labels"
    assert question not in page_of(tmp_path).text
    assert question in page.text


def test_oracle_rows_alone_do_not_claim_a_learned_model(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    rows = [fake_row(generator, "drawer_half", "held_out", 0, i, 1.0, dynamics="oracle") for i in range(5)]
    append_rows(tmp_path / "rows.csv", rows)
    text = page_of(tmp_path).text
    assert "The planner, on the true simulator, solves 100% of held-out tasks." in text


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100%"), (0.9996, "99.9%"), (0.996, "99.6%"), (0.97, "97%"), (0.0, "0%"), (0.0004, "0.1%")],
)
def test_percent_never_rounds_to_certainty(share: float, text: str) -> None:
    assert percent(share) == text


def test_tasks_without_an_end_are_told_by_their_returns(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [
        replace(fake_row(rng, name, "source", 0, n, 0.0), steps_done=0, steps_total=0, return_=worth + n)
        for name, worth in (("walk", 900.0), ("run", 300.0))
        for n in range(3)
    ]
    append_rows(tmp_path / "rows.csv", rows)
    text = " ".join(write_report(tmp_path).read_text().split())
    assert "gathers a mean return of 601 in 2 tasks" in text and "there is nothing to succeed in" in text
    assert (
        text.index("<b>run</b>") < text.index("<b>walk</b>")
        and "901.0" in text
        and "0%" not in text.split("<body>")[1]
    )
    append_rows(tmp_path / "rows.csv", [fake_row(rng, "drawer_open", "source", 0, n, 1.0) for n in range(3)])
    text = " ".join(write_report(tmp_path).read_text().split())
    assert "solves 100% of its source tasks" in text and "Returns" in text
