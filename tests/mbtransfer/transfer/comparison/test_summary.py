"""Success and normalised score of a comparison, by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mbtransfer.transfer.comparison.runs import TransferRun
from mbtransfer.transfer.comparison.summary import summarise
from mbtransfer.transfer.comparison.tables import COSTS, FIRST, RESULTS, cells, gain_table, markdown, plot
from mbtransfer.transfer.comparison.transfer_gain import difference_interval, transfer_gain
from mbtransfer.transfer.method import Costs


def run(method: str, target: str, *done: int, seed: int = 0, failed: str = "") -> TransferRun:
    success = tuple(map(float, done))
    return TransferRun(
        method=method, target=target, seed=seed, settings={}, success=success, returns=success,
        costs=Costs(labels=7), action_ms=2.0, failed=failed,
    )  # fmt: skip


ENDS = [
    run("random", "a", 0, 0),
    run("random", "b", 0, 1),
    run("oracle", "a", 1, 1),
    run("oracle", "b", 1, 1),
]


def test_the_score_is_zero_for_random_and_one_for_the_oracle() -> None:
    low, high, mine = summarise([*ENDS, run("mine", "a", 1, 0), run("mine", "b", 1, 1)])
    assert (low["score_mean"], high["score_mean"]) == (0.0, 1.0)
    assert (mine["success_mean"], mine["score_mean"], mine["score_min"]) == (0.75, 0.75, 0.5)
    first, last = mine["success_ci95"]
    assert (first, last) == (0.5, 1.0), "only task a varies"


def test_the_score_is_relative_to_the_ends_of_each_task() -> None:
    *_, mine = summarise([*ENDS, run("mine", "b", 1, 0)])
    assert (mine["success_mean"], mine["score_mean"]) == (0.5, 0.0)


def test_seeds_are_resampled_where_there_are_several() -> None:
    *_, mine = summarise([*ENDS, run("mine", "a", 0, 0), run("mine", "a", 1, 0, seed=1)])
    assert mine["success_ci95"] == (0.0, 0.5), "means of seeds are 0, 0.25 and 0.5; of episodes, up to 1"


def test_runs_that_do_not_differ_get_wilsons_interval() -> None:
    *_, mine = summarise([*ENDS, run("mine", "a", 1, 1), run("mine", "b", 1, 1)])
    assert mine["success_ci95"] == pytest.approx((0.51, 1.0), abs=0.01), "4 of 4"


def test_the_interquartile_mean_leaves_out_the_best_and_the_worst_quarter_of_runs() -> None:
    runs = [
        run("mine", name, *done) for name, done in zip("abcd", ((0, 0), (1, 0), (1, 1), (1, 1)), strict=True)
    ]
    (mine,) = summarise(runs)
    assert mine["success_mean"] == 0.625 and mine["success_iqm"] == 0.75
    low, high = mine["success_iqm_ci95"]
    assert (low, high) == (0.5, 1.0), "the run of task b is 0, 0.5 or 1"


def test_a_task_that_the_oracle_does_no_better_at_has_no_score() -> None:
    (_, _, mine) = summarise([run("random", "a", 1), run("oracle", "a", 1), run("mine", "a", 0)])
    assert mine["score_mean"] is None and mine["success_mean"] == 0.0


def test_what_failed_is_named_and_does_not_count(tmp_path: Path) -> None:
    found = summarise([*ENDS, run("mine", "a", failed="no luck"), run("mine", "b", 1, 1)])
    mine = found[-1]
    assert mine["failed"] == ["a, seed 0: no luck"]
    assert (mine["targets"], mine["success_mean"], mine["labels"]) == (1, 1.0, 7)
    found += summarise([run("none", "a", failed="no luck")])
    assert cells(found[-1])[:5] == ["none", "0", "0", "–", "–"]
    assert all(
        line.count("|") == len((*FIRST, *RESULTS, *COSTS)) + 1 for line in markdown(found).splitlines()
    )
    plot(found, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_a_task_without_end_counts_by_its_return() -> None:
    def endless(method: str, *returns: float) -> TransferRun:
        return TransferRun(
            method=method, target="a", seed=0, settings={}, continuing=True, success=(0.0,) * len(returns),
            returns=returns,
        )  # fmt: skip

    mine = summarise([endless("random", 10.0), endless("oracle", 30.0), endless("mine", 15.0, 25.0)])[-1]
    assert mine["success_mean"] is None and mine["score_mean"] == pytest.approx(0.5)


def test_what_pooling_adds_is_a_difference_for_each_target() -> None:
    runs = [
        *(run("model", name, *done) for name, done in (("a", (1, 1)), ("b", (1, 0)), ("c", (0, 0)))),
        *(run("own_model", name, *done) for name, done in (("a", (0, 0)), ("b", (1, 0)), ("c", (1, 1)))),
        run("model", "d", 1, 1),
        run("own_model", "d", failed="no luck"),
    ]
    gain = transfer_gain(runs)
    assert gain and [(line["target"], line["gain"]) for line in gain["targets"]] == [
        ("c", -1.0),
        ("b", 0.0),
        ("a", 1.0),
    ]
    assert (gain["mean"], gain["median"], gain["min"], gain["ci95"]) == (0.0, 0.0, -1.0, (0.0, 0.0))
    assert gain["negative"] == ["c"], "0 of 2 against 2 of 2"
    assert gain_table(gain).row_count == 6
    assert transfer_gain(runs[:3]) is None, "there is no control"


def test_harm_is_named_once_there_are_enough_episodes() -> None:
    gain = transfer_gain([run("model", "a", *[0] * 10), run("own_model", "a", *[1] * 10)])
    assert gain and gain["negative"] == ["a"]


def test_the_interval_of_a_difference_is_the_published_one() -> None:
    a, b = (np.array([[1.0] * ones + [0.0] * (count - ones)]) for ones, count in ((56, 70), (48, 80)))
    assert difference_interval(a, b) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_a_method_that_needs_no_practice_has_its_line_for_each_number() -> None:
    still = [
        replace(run("still", "a", 1, 0), without_practice=True),
        replace(run("still", "b", failed="no"), without_practice=True),
    ]
    tried = [replace(run("tried", "a", 0, 0), practice=0), replace(run("tried", "a", 1, 1), practice=5)]
    found = summarise([*still, *tried])
    lines = [
        (entry["method"], entry["practice"], entry["success_mean"], len(entry["failed"])) for entry in found
    ]
    assert lines == [("still", 0, 0.5, 1), ("still", 5, 0.5, 0), ("tried", 0, 0.0, 0), ("tried", 5, 1.0, 0)]
