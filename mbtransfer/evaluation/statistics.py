"""Aggregates over tasks with 95% bootstrap intervals.

The aggregates and the stratified bootstrap follow rliable (Agarwal et al. 2021, "Deep reinforcement
learning at the edge of the statistical precipice"): a run is one task with one seed, and its score is the share
of its episodes that succeeded. A resample draws each task's runs with replacement, and the interval
contains the middle 95% of the resampled aggregates.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from mbtransfer.evaluation.results import CHOICES

Scores = NDArray[np.float64]
Interval = tuple[float, float]
Aggregate = Callable[[Sequence[Scores]], Scores]
"""Maps one array [S, runs] per task to one number for each of the S samples."""

RESAMPLES = 2000
CONFIDENCE = 0.95


def mean(tasks: Sequence[Scores]) -> Scores:
    """Mean over tasks of each task's mean over runs, [S]."""
    return np.asarray(_task_means(tasks).mean(axis=1))


def interquartile_mean(tasks: Sequence[Scores]) -> Scores:
    """Mean of the middle half of all runs, [S]: robust to outliers, and less noisy than the median."""
    return np.asarray(stats.trim_mean(np.concatenate(tasks, axis=1), 0.25, axis=1))


def median(tasks: Sequence[Scores]) -> Scores:
    """Median over tasks of each task's mean over runs, [S]."""
    return np.asarray(np.median(_task_means(tasks), axis=1))


def worst_task(tasks: Sequence[Scores]) -> Scores:
    """Mean over runs of the worst task, [S]."""
    return np.asarray(_task_means(tasks).min(axis=1))


AGGREGATES: dict[str, Aggregate] = {
    "mean": mean,
    "iqm": interquartile_mean,
    "median": median,
    "min": worst_task,
}


def wilson_interval(successes: int, episodes: int) -> Interval:
    """95% interval of a success rate from a count (Wilson 1927); also valid at 0% and 100%."""
    interval = stats.binomtest(successes, episodes).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def bootstrap_interval(rows: pd.DataFrame, aggregate: Aggregate = mean, seed: int = 0) -> Interval:
    """95% stratified bootstrap interval of `aggregate` of the success in `rows`; the same for the same seed.

    The strata are the tasks. A task's seeds are resampled or, if it ran with only one, that seed's episodes; the
    interval then says nothing about other seeds.

    Args:
        rows: columns task, kind, seed, success; at least one row.
        aggregate: one of `AGGREGATES`, or a similar function.
        seed: seed of the resampling.
    """
    return _middle(aggregate(_resamples(_runs(rows), seed)))


def mean_interval(rows: pd.DataFrame, column: str, seed: int = 0) -> tuple[float, Interval]:
    """Mean of one task's column, and its 95% bootstrap interval over seeds, or over episodes if there is one seed."""
    of_seeds = rows.groupby("seed")[column].mean() if rows["seed"].nunique() > 1 else rows[column]
    values = of_seeds.to_numpy(dtype=np.float64)
    draws = np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))
    return float(values.mean()), _middle(values[draws].mean(axis=1))


def t_interval(rows: pd.DataFrame, column: str) -> Interval | None:
    """Student's 95% interval of the mean of a column over seeds: with three to five seeds a bootstrap is too narrow.

    Returns:
        None for one seed, of whose spread nothing is known.
    """
    of_seeds = rows.groupby("seed")[column].mean().to_numpy(dtype=np.float64)
    if len(of_seeds) < 2:
        return None
    half = stats.t.ppf((1 + CONFIDENCE) / 2, len(of_seeds) - 1) * stats.sem(of_seeds)
    return float(of_seeds.mean() - half), float(of_seeds.mean() + half)


def headline(rows: pd.DataFrame, dynamics: str) -> pd.DataFrame:
    """The rows that represent `dynamics` if a file holds several ways of running the same task.

    Chosen are the planner with the most rows, then for each task one reward and the most labels. The reward is
    learned for the learned dynamics and true for the oracle, the other one if there is no choice, and the control last.
    Of duplicate episodes the later one counts.
    """
    rows = rows[rows["dynamics"] == dynamics]
    if rows.empty:
        return rows
    rows = rows[rows["planner"] == rows["planner"].value_counts(sort=True).index[0]]
    favourite = "learned" if dynamics == "learned" else "true"
    rank = (rows["reward"] == favourite) * (1 + rows["labels"].max()) + rows["labels"]
    rank -= rows["reward"] == "distance"
    best = rank == rank.groupby([rows["kind"], rows["task"]]).transform("max")
    return rows[best].drop_duplicates(["kind", "task", "seed", "episode"], keep="last")


def summarise(rows: pd.DataFrame, seed: int = 0) -> dict[str, Any]:
    """The `tasks`, `splits`, `decisions` and `diverged` of `summary.json`, and `oracle` if `rows` hold both dynamics.

    The numbers are those of the learned dynamics (see `headline`), or of the oracle if there are no others. A
    split's `success_ci95` belongs to `success_mean`; a task's is Wilson's interval over its episodes of all seeds.

    Args:
        rows: as from `mbtransfer.evaluation.results.read_rows`.
        seed: seed of the bootstrap.
    """
    learned, oracle = headline(rows, "learned"), headline(rows, "oracle")
    main = oracle if learned.empty else learned
    splits, tasks = summarise_splits(main, seed), summarise_tasks(main, seed)
    summary: dict[str, Any] = {"splits": splits, "tasks": tasks, "decisions": summarise_decisions(main)}
    summary["diverged"] = int(main["diverged"].sum())
    if not learned.empty and not oracle.empty:
        summary["oracle"] = summarise_splits(oracle, seed)
    return summary


def summarise_splits(rows: pd.DataFrame, seed: int = 0) -> dict[str, dict[str, Any]]:
    """Per split: `success_mean`, `_iqm`, `_median`, `_min`, their intervals, and the numbers of tasks and episodes."""
    present = [split for split in CHOICES["split"] if (rows["split"] == split).any()]
    return {split: _split(rows[rows["split"] == split], seed) for split in present}


def summarise_tasks(rows: pd.DataFrame, seed: int = 0) -> list[dict[str, Any]]:
    """Per task or recipe, in the order of the rows: episodes, success and return with intervals, steps."""
    groups = rows.groupby(["kind", "task", "split"], sort=False)
    return [_task(str(name), str(kind), str(split), group, seed) for (kind, name, split), group in groups]


def summarise_decisions(rows: pd.DataFrame) -> dict[str, float]:
    """Shares of all decisions that were `cut` short by a time budget, or `infeasible` under the constraints."""
    steps = rows["steps"].sum()
    return {name: float((rows[name] * rows["steps"]).sum() / max(1, steps)) for name in ("cut", "infeasible")}


def divergence_note(diverged: int) -> list[str]:
    """A sentence about simulations that diverged; none if none did."""
    return [f"The simulation of {diverged:,} episodes diverged; they count as failed."] if diverged else []


def decision_notes(decisions: Mapping[str, float]) -> list[str]:
    """Sentences about decisions that were cut short or infeasible; none if there were no such decisions."""
    meanings = {
        "cut": "of the decisions were cut short by the time budget",
        "infeasible": "of the decisions had no plan that satisfies the constraints",
    }
    return [f"{decisions[name]:.0%} {text}." for name, text in meanings.items() if decisions.get(name)]


def _split(rows: pd.DataFrame, seed: int) -> dict[str, Any]:
    runs = _runs(rows)
    scores, samples = [of_task[None] for of_task, _ in runs], _resamples(runs, seed)
    entry: dict[str, Any] = {f"success_{name}": float(of(scores)[0]) for name, of in AGGREGATES.items()}
    intervals = {name: _middle(of(samples)) for name, of in AGGREGATES.items()}
    if intervals["mean"][0] == intervals["mean"][1]:
        # Identical runs leave nothing to resample, but there are finitely many episodes: use Wilson's interval.
        intervals["mean"] = wilson_interval(int(rows["success"].sum()), len(rows))
    entry["success_ci95"] = list(intervals.pop("mean"))
    entry.update({f"success_{name}_ci95": list(interval) for name, interval in intervals.items()})
    return entry | {"tasks": len(runs), "episodes": len(rows)}


def _returns(rows: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Mean return of one task, its interval over seeds (over episodes if there is one seed), and whether the task is
    endless, so that it cannot succeed.
    """
    middle, interval = mean_interval(rows, "return_", seed)
    return {
        "return_mean": middle,
        "return_ci95": list(interval),
        "endless": bool((rows["steps_total"] == 0).all()),
    }


def _task(name: str, kind: str, split: str, rows: pd.DataFrame, seed: int) -> dict[str, Any]:
    finished = rows["steps_to_success"].dropna()
    return {
        "name": name,
        "kind": kind,
        "split": split,
        "episodes": len(rows),
        "success_rate": float(rows["success"].mean()),
        "success_ci95": list(wilson_interval(int(rows["success"].sum()), len(rows))),
        **_returns(rows, seed),
        "steps_to_success_mean": None if finished.empty else float(finished.mean()),
        "steps_done_share": float(rows["steps_done"].sum() / max(1, rows["steps_total"].sum())),
    }


def _runs(rows: pd.DataFrame) -> list[tuple[Scores, int]]:
    """Per task the scores of its runs, [seeds], and the episodes of its first run."""
    runs = []
    for _, task in rows.groupby(["kind", "task"], sort=True):
        seeds = task.groupby("seed", sort=True)["success"]
        runs.append((seeds.mean().to_numpy(dtype=np.float64), int(seeds.size().iloc[0])))
    return runs


def _resamples(tasks: list[tuple[Scores, int]], seed: int) -> list[Scores]:
    """Resample each task's runs `RESAMPLES` times, [RESAMPLES, seeds] per task."""
    generator = np.random.default_rng(seed)
    samples = []
    for scores, episodes in tasks:
        if len(scores) > 1:
            samples.append(scores[generator.integers(len(scores), size=(RESAMPLES, len(scores)))])
        else:  # resampling a run's episodes means drawing their number of successes
            samples.append(generator.binomial(episodes, scores[0], size=(RESAMPLES, 1)) / episodes)
    return samples


def _middle(samples: Scores) -> Interval:
    """Bounds of the middle 95% of `samples`."""
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(samples, [tail, 100 - tail])
    return float(low), float(high)


def _task_means(tasks: Sequence[Scores]) -> Scores:
    return np.stack([scores.mean(axis=1) for scores in tasks], axis=1)
