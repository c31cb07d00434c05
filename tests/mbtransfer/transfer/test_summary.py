"""Success and normalised score of a comparison, by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from mbtransfer.transfer.method import Costs
from mbtransfer.transfer.runs import TransferRun
from mbtransfer.transfer.summary import COSTS, RESULTS, cells, markdown, plot, summarise


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
    *_, mine = summarise([*ENDS, run("mine", "a", 1, 0), run("mine", "a", 0, 1, seed=1)])
    assert mine["success_ci95"] == (0.5, 0.5), "both seeds solved half"


def test_a_task_that_the_oracle_does_no_better_at_has_no_score() -> None:
    (_, _, mine) = summarise([run("random", "a", 1), run("oracle", "a", 1), run("mine", "a", 0)])
    assert mine["score_mean"] is None and mine["success_mean"] == 0.0


def test_what_failed_is_named_and_does_not_count(tmp_path: Path) -> None:
    found = summarise([*ENDS, run("mine", "a", failed="no luck"), run("mine", "b", 1, 1)])
    mine = found[-1]
    assert mine["failed"] == ["a, seed 0: no luck"]
    assert (mine["targets"], mine["success_mean"], mine["labels"]) == (1, 1.0, 7)
    found += summarise([run("none", "a", failed="no luck")])
    assert cells(found[-1])[:4] == ["none", "0", "–", "–"]
    assert all(line.count("|") == len((*RESULTS, *COSTS)) + 2 for line in markdown(found).splitlines())
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
