"""Statistics: aggregates by hand, intervals that hold what they promise, rows that are not mixed up."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mbtransfer.evaluation.statistics import (
    AGGREGATES,
    bootstrap_interval,
    decision_notes,
    headline,
    interquartile_mean,
    mean,
    summarise,
    summarise_decisions,
    wilson_interval,
)

FIXED = {
    "kind": "task",
    "split": "held_out",
    "planner": "mppi",
    "dynamics": "learned",
    "reward": "learned",
    "labels": 1000,
    "return_": 1.0,
    "steps": 45,
    "steps_done": 1,
    "steps_total": 1,
    "plan_ms": 8.0,
    "cut": 0.0,
    "infeasible": 0.0,
    "diverged": 0,
}


def rows_of(successes: dict[str, list[list[int]]], **columns: Any) -> pd.DataFrame:
    """Rows from, per task, a list of seeds, each a list of episodes that succeeded (1) or not (0)."""
    return pd.DataFrame(
        [
            {
                **FIXED,
                "task": task,
                "seed": seed,
                "episode": episode,
                "success": bool(success),
                "steps_to_success": 20.0 if success else np.nan,
                **columns,
            }
            for task, seeds in successes.items()
            for seed, episodes in enumerate(seeds)
            for episode, success in enumerate(episodes)
        ]
    )


TWO = {"a": [[1, 1, 1, 1], [1, 1, 0, 1]], "b": [[0, 1, 0, 1], [0, 0, 0, 1]]}


def test_aggregates_by_hand() -> None:
    entry = summarise(rows_of(TWO))["splits"]["held_out"]
    assert entry["success_mean"] == pytest.approx((0.875 + 0.375) / 2)
    assert entry["success_median"] == pytest.approx((0.875 + 0.375) / 2)
    assert entry["success_min"] == pytest.approx(0.375)
    assert entry["success_iqm"] == pytest.approx((0.5 + 0.75) / 2)
    assert (entry["tasks"], entry["episodes"]) == (2, 16)


def test_the_interquartile_mean_ignores_both_ends() -> None:
    scores = np.array([[0.0, 0.4, 0.6, 100.0]])
    assert interquartile_mean([scores])[0] == pytest.approx(0.5)


def test_tasks_weigh_the_same_however_many_episodes_they_have() -> None:
    entry = summarise(rows_of({"a": [[1] * 100], "b": [[0, 0]]}))["splits"]["held_out"]
    assert entry["success_mean"] == pytest.approx(0.5)


def test_wilson_by_the_book() -> None:
    assert wilson_interval(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson_interval(0, 10)[0] == pytest.approx(0.0)
    assert wilson_interval(10, 10)[1] == pytest.approx(1.0)


def test_the_interval_is_the_same_for_the_same_seed_and_any_order_of_rows() -> None:
    rows = rows_of({"a": [[1, 0, 1], [1, 1, 0], [0, 0, 1]], "b": [[1, 1, 1], [1, 0, 1], [1, 1, 0]]})
    shuffled = rows.sample(frac=1.0, random_state=3)
    assert summarise(rows)["splits"] == summarise(shuffled)["splits"]
    assert bootstrap_interval(rows, seed=1) == bootstrap_interval(rows, seed=1)
    assert bootstrap_interval(rows, seed=1) != bootstrap_interval(rows, seed=2)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    truth, covered = np.array([0.5, 0.7, 0.9, 0.8]), 0
    for _ in range(100):
        draws = {f"task{i}": generator.binomial(1, rate, (8, 5)).tolist() for i, rate in enumerate(truth)}
        low, high = bootstrap_interval(rows_of(draws), mean)
        covered += low <= truth.mean() <= high
    assert 85 <= covered <= 100


def test_more_seeds_make_the_interval_narrower() -> None:
    generator = np.random.default_rng(0)
    widths = []
    for seeds in (4, 64):
        low, high = bootstrap_interval(rows_of({"a": generator.binomial(1, 0.7, (seeds, 5)).tolist()}))
        widths.append(high - low)
    assert widths[1] < 0.5 * widths[0]


def test_one_seed_resamples_its_episodes() -> None:
    low, high = bootstrap_interval(rows_of({"a": [[1] * 15 + [0] * 5]}))
    assert 0.5 < low < 0.75 < high < 1


def test_runs_that_are_all_alike_are_not_certain() -> None:
    low, high = summarise(rows_of({"a": [[1] * 10] * 3}))["splits"]["held_out"]["success_ci95"]
    assert 0.8 < low < 0.95 and high == pytest.approx(1.0)


@pytest.mark.parametrize("name", AGGREGATES)
@given(data=st.data())
def test_intervals_lie_in_order_within_zero_and_one(name: str, data: st.DataObject) -> None:
    seeds = st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=4), min_size=1, max_size=3)
    draws = data.draw(st.dictionaries(st.sampled_from("abcd"), seeds, min_size=1))
    low, high = bootstrap_interval(rows_of(draws), AGGREGATES[name])
    assert 0 <= low <= high <= 1


def test_the_summary_has_the_documented_shape_and_is_json() -> None:
    rows = pd.concat([rows_of(TWO), rows_of({"tea": [[1, 0]]}, kind="recipe", split="recipes")])
    summary = json.loads(json.dumps(summarise(rows), allow_nan=False))
    assert list(summary) == ["splits", "tasks", "decisions", "diverged"]
    assert list(summary["splits"]) == ["held_out", "recipes"]
    keys = {"success_mean", "success_iqm", "success_median", "success_min", "success_ci95"}
    assert keys <= set(summary["splits"]["held_out"])
    task = summary["tasks"][0]
    assert (task["name"], task["split"], task["episodes"]) == ("a", "held_out", 8)
    assert task["success_rate"] == pytest.approx(0.875)
    assert task["success_ci95"][0] < 0.875 < task["success_ci95"][1]
    assert (task["return_mean"], task["steps_to_success_mean"]) == (1.0, 20.0)


def test_a_task_that_never_succeeds_has_no_steps_to_success() -> None:
    assert summarise(rows_of({"a": [[0, 0]]}))["tasks"][0]["steps_to_success_mean"] is None


def test_no_rows_give_an_empty_summary() -> None:
    nothing = {"cut": 0.0, "infeasible": 0.0}
    assert summarise(rows_of(TWO).iloc[:0]) == {
        "splits": {},
        "tasks": [],
        "decisions": nothing,
        "diverged": 0,
    }


def test_the_oracle_is_told_apart_from_the_learned_model() -> None:
    oracle = rows_of({"a": [[1, 1]]}, dynamics="oracle", reward="true", labels=0)
    summary = summarise(pd.concat([rows_of({"a": [[0, 0]]}), oracle]))
    assert summary["splits"]["held_out"]["success_mean"] == 0.0
    assert summary["oracle"]["held_out"]["success_mean"] == 1.0
    output_lock = summarise(oracle)
    assert output_lock["splits"]["held_out"]["success_mean"] == 1.0 and "oracle" not in output_lock


def test_the_headline_takes_most_labels_before_fewer_and_learned_before_true_reward() -> None:
    rows = pd.concat(
        [
            rows_of({"a": [[0, 0]]}, labels=100),
            rows_of({"a": [[1, 0]]}, labels=10000),
            rows_of({"a": [[1, 1]]}, labels=0, reward="true"),
            rows_of({"b": [[1, 1]]}, labels=500),
        ]
    )
    chosen = headline(rows, "learned")
    assert chosen.groupby("task")["labels"].unique().map(list).to_dict() == {"a": [10000], "b": [500]}


def test_the_headline_takes_the_planner_with_most_rows() -> None:
    rows = pd.concat([rows_of({"a": [[0]]}, planner="cem"), rows_of({"a": [[1, 1]]})])
    assert set(headline(rows, "learned")["planner"]) == {"mppi"}


def test_an_episode_run_twice_counts_once_and_the_later_wins() -> None:
    rows = pd.concat([rows_of({"a": [[0, 0]]}), rows_of({"a": [[1, 1]]})])
    entry = summarise(rows)["splits"]["held_out"]
    assert (entry["episodes"], entry["success_mean"]) == (2, 1.0)


def test_decisions_cut_short_are_counted_by_control_steps() -> None:
    frame = pd.DataFrame({"steps": [10, 30], "cut": [1.0, 0.0], "infeasible": [0.0, 0.0]})
    found = summarise_decisions(frame)
    assert found == {"cut": 0.25, "infeasible": 0.0}
    assert decision_notes(found) == ["25% of the decisions were cut short by the time budget."]
    assert decision_notes({"cut": 0.0}) == []


def test_the_interval_is_the_percentile_bootstrap_of_scipy() -> None:
    rates = {"tap": [0.2, 0.9, 0.6, 0.4, 0.8], "tea": [1.0, 0.5, 0.7, 0.9, 0.3]}
    rows = pd.DataFrame(
        {**FIXED, "task": task, "seed": seed, "episode": episode, "success": float(episode < 10 * rate)}
        for task, of_seeds in rates.items()
        for seed, rate in enumerate(of_seeds)
        for episode in range(10)
    )
    theirs = stats.bootstrap(
        list(rates.values()), lambda a, b, axis: (a.mean(axis=axis) + b.mean(axis=axis)) / 2,
        n_resamples=20_000, method="percentile", rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    assert bootstrap_interval(rows) == pytest.approx((theirs.low, theirs.high), abs=0.015)
