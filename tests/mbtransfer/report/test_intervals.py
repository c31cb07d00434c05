"""The picture of interval coverage: drawn from what `fit` measured, a sentence where that is missing or odd."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mbtransfer.report import curves as intervals
from mbtransfer.report import write_report
from mbtransfer.report.results_dir import MissingPart, read_results_dir


def measured(**changes: Any) -> dict[str, Any]:
    group = {
        "share": [0.5] * 3,
        "travel": [3.0, 6.0, 9.0],
        "before": {"coverage": [0.7, 0.6, 0.5], "ece": [0.1] * 3, "width": [0.2] * 3},
        "after": {"coverage": [0.9, 0.91, 0.89], "ece": [0.01] * 3, "width": [0.5, 1.0, 1.5]},
    }
    return {
        "level": 0.9,
        "horizon": [1, 2, 3],
        "all": group,
        "moving": group,
        "moving_objects": group,
    } | changes


def folder(tmp_path: Path, part: Any) -> Path:
    (tmp_path / "diagnostics.json").write_text(json.dumps({"interval_coverage": part}))
    return tmp_path


def test_it_is_drawn_with_a_caption_in_numbers(tmp_path: Path) -> None:
    found = intervals.coverage_chart(read_results_dir(folder(tmp_path, measured())))
    assert "moving objects" in found.svg and ">before<" in found.svg
    assert "3 steps ahead, they are 6.0 times narrower than without a model" in found.caption
    assert "Coverage of intervals" in write_report(tmp_path).read_text()


def test_a_world_without_objects_and_steps_in_which_nothing_moved(tmp_path: Path) -> None:
    part = measured()
    del part["moving_objects"]
    part["moving"] = json.loads(json.dumps(part["moving"]))
    part["moving"]["after"]["coverage"][0] = part["moving"]["before"]["coverage"][0] = None
    found = intervals.coverage_chart(read_results_dir(folder(tmp_path, part)))
    assert "all that moves" in found.svg and "moving objects" not in found.svg


@pytest.mark.parametrize(
    "part",
    [
        *(None, 3, [], {}, {"level": 0.9}),
        *(measured(level="x"), measured(moving_objects={}), measured(all=None), measured(horizon=[1])),
    ],
)
def test_what_cannot_be_drawn_is_a_sentence(tmp_path: Path, part: Any) -> None:
    with pytest.raises(MissingPart):
        intervals.coverage_chart(read_results_dir(folder(tmp_path, part)))
    assert "Coverage of intervals" in write_report(tmp_path).read_text()


@pytest.mark.parametrize("travel", [None, "x", [1.0]])
def test_a_caption_without_widths_leaves_them_out(tmp_path: Path, travel: Any) -> None:
    part = measured()
    part["moving_objects"] = part["moving_objects"] | {"travel": travel}
    assert "narrower" not in intervals.coverage_chart(read_results_dir(folder(tmp_path, part))).caption
