"""The page of a comparison: what it says of a summary, and that it is whole and self-contained."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mbtransfer.errors import UserError
from mbtransfer.report import write_comparison, write_report
from mbtransfer.report.comparison_page import heat, render_comparison, sentence, winners
from mbtransfer.runtime.files import plain
from mbtransfer.transfer.comparison.runs import TransferRun
from mbtransfer.transfer.comparison.summary import whole_summary
from mbtransfer.transfer.method import Costs
from mbtransfer.transfer.streams.stream_runs import StreamRun

TARGETS = ("drawer_half", "tap_half")


def run(
    method: str, target: str, *done: int, without_practice: bool = True, practice: int = 0
) -> TransferRun:
    success = tuple(map(float, done))
    return TransferRun(
        method=method, target=target, seed=0, settings={}, success=success, returns=success, practice=practice,
        without_practice=without_practice, costs=Costs(100, 40 * practice, 50, 10), action_ms=2.0, solve_seconds=1.0,
    )  # fmt: skip


def summary(matrix: bool = True) -> dict[str, Any]:
    runs = [
        run(method, target, *done)
        for method, shares in {
            "random": ((0, 0), (0, 0)), "policy": ((0, 0), (1, 1)), "own_model": ((1, 0), (1, 1)),
            "model": ((1, 1), (0, 0)), "oracle": ((1, 1), (1, 1)),
        }.items()
        for target, done in zip(TARGETS, shares, strict=True)
    ]  # fmt: skip
    runs += [
        run("fine_tuned_model", TARGETS[0], k > 0, 1, without_practice=False, practice=k) for k in (0, 5)
    ]
    runs += [replace(run("policy", "lamp<b>"), failed="no & luck")]
    streams = []
    if matrix:
        runs = [
            replace(one, elsewhere={TARGETS[one.target == TARGETS[0]]: 0.25}, elsewhere_seconds=1.0)
            if one.method == "model" else one
            for one in runs
        ]  # fmt: skip
        streams = [
            StreamRun(
                tuning="shared model", tasks=TARGETS, seed=0, settings={}, success=((1.0, None), (0.5, 0.75)),
                measures={"forgetting": 0.25, "average_performance": 0.625, "forward_transfer": None}, seconds=3.0,
            )
        ]  # fmt: skip
    settings = {
        "env": "kitchen", "model": "abc", "labels": 50, "episodes": 2, "seeds": [0], "practice": [0, 5],
        "budget": "none", "targets": list(TARGETS), "methods": {"model": "ModelTransfer()"}, "left_out": [],
    }  # fmt: skip
    found = whole_summary(runs, streams, settings, {"mbtransfer": "1.0", "torch": None})
    return dict(json.loads(json.dumps(plain(found))))


def test_the_page_is_whole_and_asks_the_network_for_nothing() -> None:
    page = render_comparison("mine", summary(), "today")
    for part in ("results", "costs", "time", "winners", "pooling", "matrix", "failed", "settings"):
        assert f'<section id="{part}">' in page and f'href="#{part}"' in page
    assert page.count("<svg role=") == 5, "time, practice, gain and two of the stream"
    assert "lamp&lt;b&gt;" in page and "no &amp; luck" in page and "lamp<b>" not in page
    assert " style=" not in page and "<script" not in page
    assert not re.findall(r'(?:src|href)="(?!#|data:)', page)
    assert "torch" not in page, "what is not installed has no version"


def test_parts_that_were_not_asked_for_are_left_out() -> None:
    bare = summary(matrix=False)
    bare["methods"] = [one for one in bare["methods"] if one["method"] != "fine_tuned_model"]
    for line in bare["by_target"]:
        line["values"] = line["values"][: len(bare["methods"])]
    bare |= {"transfer_gain": None, "failed": []}
    page = render_comparison("mine", bare, "today")
    assert 'id="matrix"' not in page and "--practice 0 1 5" in page and "It takes both methods" in page


def test_who_wins_where() -> None:
    found = winners(summary())
    # success: 1, 1, 0.75, 0.5, 0.5, 0.5, 0
    order = "oracle, fine_tuned_model · 5, own_model, policy, model, fine_tuned_model, random"
    assert found.columns == order.split(", ")
    rows = dict(zip([name for name, _ in found.rows], found.best, strict=True))
    assert rows["drawer_half"] == {1, 4} and rows["tap_half"] == {2, 3} and rows["lamp<b>"] == set()
    assert found.foot == ["–", "1", "1", "1", "1", "0", "–"]


def test_the_sentence_names_the_best_and_not_the_oracle() -> None:
    assert sentence(summary()["methods"]) == (
        "fine_tuned_model · 5, the best of 4 methods, solves 100% of the episodes of 1 target, in 2.00 ms per action."
    )
    assert sentence([]) == "0 ways to carry what was learned were compared."


def test_a_cell_is_the_stronger_the_larger_its_share() -> None:
    strengths = [int(re.findall(r"(\d+)%", heat(share))[0]) for share in (-0.5, 0.0, 0.5, 1.0, 1.2)]
    assert strengths == [0, 0, 40, 80, 80]


def test_a_report_of_the_folder_is_that_page(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text(json.dumps(summary()), encoding="utf-8")
    first = write_comparison(tmp_path).read_bytes()
    assert write_report(tmp_path).read_bytes() == first
    (tmp_path / "summary.json").write_text("[]", encoding="utf-8")
    with pytest.raises(UserError, match="is no summary of a comparison"):
        write_comparison(tmp_path)
