"""Success, normalised score and costs of each transfer method, as numbers.

The score of a target is (x - random) / (oracle - random) (Mnih et al. 2015, "Human-level control through deep
reinforcement learning", table 2), with x the success, or the return of a task without success; at 1 a method is as good
as planning in the true simulator. See `aggregates` for means and intervals. The ends of the score count as exact.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mbtransfer.transfer.comparison.aggregates import Values, aggregates, shares
from mbtransfer.transfer.comparison.runs import TransferRun
from mbtransfer.transfer.comparison.transfer_gain import transfer_gain
from mbtransfer.transfer.comparison.transfer_matrix import matrices
from mbtransfer.transfer.registry import LOWER, UPPER
from mbtransfer.transfer.streams.stream_runs import StreamRun, forgotten, performance


def summarise(runs: Sequence[TransferRun], seed: int = 0) -> list[dict[str, Any]]:
    """One entry per method and practice: targets, success and score with intervals, costs, and what failed.

    A method without practice has the same numbers for any number of practice episodes; its failures are told once.

    Success is None without a task that can succeed, and the score is None where random and oracle are the same, or
    one of them is missing; such tasks do not count. Costs are means over targets and seeds.

    Args:
        runs: those of all methods.
        seed: seed of the bootstrap.
    """
    ends = {
        name: _by_target([run for run in runs if run.method == name]) for name in (LOWER.name, UPPER.name)
    }
    counts = practised(runs)
    return [
        _summary(chosen, count, ends, seed)
        | ({"failed": []} if chosen[0].without_practice and count > counts[0] else {})
        for name in dict.fromkeys(run.method for run in runs)
        for count in counts
        if (
            chosen := [
                run for run in runs if run.method == name and (run.without_practice or run.practice == count)
            ]
        )
    ]


def whole_summary(
    runs: Sequence[TransferRun],
    streams: Sequence[StreamRun],
    settings: Mapping[str, Any],
    versions: Mapping[str, Any],
) -> dict[str, Any]:
    """The content of `summary.json`, of which the page is made.

    `methods` are the entries of `summarise`; `transfer_gain` is that of `transfer_gain`, or None; `by_target` has the
    success of each entry in each target (its score where there is no success); `matrices` and `streams` are there if
    they were asked for; `failed` says what and why; then `training_seconds` of all, `settings` and `versions`.
    """
    methods = summarise(runs)
    failed = [
        {"what": f"{run.method} in {run.target}, seed {run.seed}, practice {run.practice}", "why": run.failed}
        for run in runs
        if run.failed
    ]
    failed += [{"what": f"stream, {one.tuning}", "why": one.failed} for one in streams if one.failed]
    return {
        "methods": methods, "transfer_gain": transfer_gain(runs), "by_target": _targets(runs, methods),
        "matrices": matrices(runs), "streams": [_stream(one) for one in streams if not one.failed], "failed": failed,
        "training_seconds": _training(runs), "settings": dict(settings), "versions": dict(versions),
    }  # fmt: skip


def _targets(runs: Sequence[TransferRun], methods: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each target, the worth of each entry of the summary, in its order; None where it failed."""
    found = []
    for name in dict.fromkeys(run.target for run in runs):
        here = [run for run in runs if run.target == name and not run.failed]
        low, high = (_worth([run for run in here if run.method == end.name]) for end in (LOWER, UPPER))
        values = []
        for entry in methods:
            mine = [run for run in here if run.method == entry["method"]]
            value = _worth([run for run in mine if run.without_practice or run.practice == entry["practice"]])
            if value is not None and mine[0].continuing:
                value = None if low is None or high is None or high <= low else (value - low) / (high - low)
            values.append(value)
        found.append({"target": name, "values": values})
    return found


def _training(runs: Sequence[TransferRun]) -> float:
    """Seconds of all training; what targets share counts once."""
    shared = {(run.method, run.seed, run.practice): run.pretrain_seconds for run in runs}
    return sum(shared.values()) + sum(run.solve_seconds for run in runs)


def _worth(runs: Sequence[TransferRun]) -> float | None:
    return float(np.mean([run.worth for run in runs])) if runs else None


def _stream(run: StreamRun) -> dict[str, Any]:
    return {
        "tuning": run.tuning, "tasks": list(run.tasks), "success": run.success, "measures": run.measures,
        "seconds": run.seconds, "forgotten": forgotten(run), "performance": performance(run),
    }  # fmt: skip


def practised(runs: Sequence[TransferRun]) -> list[int]:
    """The numbers of practice episodes, in order; those of methods without practice if there are no others."""
    return sorted(
        {run.practice for run in runs if not run.without_practice} or {run.practice for run in runs}
    )


def _summary(
    runs: list[TransferRun], practice: int, ends: Mapping[str, Mapping[str, Values]], seed: int
) -> dict[str, Any]:
    fine = [run for run in runs if not run.failed]
    low, high = ends[LOWER.name], ends[UPPER.name]
    success = list(_by_target([run for run in fine if not run.continuing]).values())
    score = [
        (values - low[name].mean()) / span
        for name, values in _by_target(fine).items()
        if name in low and name in high and (span := high[name].mean() - low[name].mean()) > 0
    ]
    costs = (
        {name: _mean([getattr(run.costs, name) for run in fine]) for name in vars(fine[0].costs)}
        if fine
        else {}
    )
    times = ("pretrain_seconds", "solve_seconds", "action_ms")
    return {
        "method": runs[0].method, "practice": practice, "without_practice": runs[0].without_practice,
        "targets": len({run.target for run in fine}),
        **_named("success", shares(success, seed)), **_named("score", aggregates(score, seed)),
        **costs, **{name: _mean([getattr(run, name) for run in fine]) for name in times},
        "failed": [f"{run.target}, seed {run.seed}: {run.failed}" for run in runs if run.failed],
    }  # fmt: skip


def _by_target(runs: Sequence[TransferRun]) -> dict[str, Values]:
    targets = dict.fromkeys(run.target for run in runs if not run.failed)
    return {
        name: np.array([run.worth for run in runs if run.target == name and not run.failed])
        for name in targets
    }


def _mean(values: Sequence[int | float]) -> float | None:
    return float(np.mean(values)) if values else None


def _named(name: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """Aggregates with the name of what they are of."""
    return {f"{name}_{what}": value for what, value in found.items()}
