"""Success, normalised score and costs of each transfer method, as numbers.

The score of a target is (x - random) / (oracle - random) (Mnih et al. 2015, "Human-level control through deep
reinforcement learning", table 2), with x the success, or the return of a task without success; at 1 a method is as good
as planning in the true simulator. See `aggregates` for means and intervals. The ends of the score count as exact.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mbtransfer.transfer.aggregates import Values, aggregates, shares
from mbtransfer.transfer.registry import LOWER, UPPER
from mbtransfer.transfer.runs import TransferRun


def summarise(runs: Sequence[TransferRun], seed: int = 0) -> list[dict[str, Any]]:
    """One entry per method: targets, success and score with intervals, costs, and what failed.

    Success is None without a task that can succeed, and the score is None where random and oracle are the same, or
    one of them is missing; such tasks do not count. Costs are means over targets and seeds.

    Args:
        runs: those of all methods.
        seed: seed of the bootstrap.
    """
    ends = {
        name: _by_target([run for run in runs if run.method == name]) for name in (LOWER.name, UPPER.name)
    }
    names = dict.fromkeys(run.method for run in runs)
    return [_summary([run for run in runs if run.method == name], ends, seed) for name in names]


def _summary(runs: list[TransferRun], ends: Mapping[str, Mapping[str, Values]], seed: int) -> dict[str, Any]:
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
        "method": runs[0].method, "targets": len({run.target for run in fine}),
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
