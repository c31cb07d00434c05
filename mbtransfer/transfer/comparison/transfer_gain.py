"""What pooling adds to each target: success with the pooled model minus success with a model of the target's own data.

Where it is below zero, transfer is negative (Lopez-Paz and Ranzato 2017, "Gradient episodic memory for continual
learning", section 2; surveyed by Zhang et al. 2022, "A survey on negative transfer"). The two methods play the same
episodes. A target's interval is Newcombe's for a difference of two shares, made of their Wilson intervals (Newcombe
1998, "Interval estimation for the difference between independent proportions", method 10); as the episodes are the
same, it is rather too wide. Those of mean, median and minimum are of a bootstrap of the differences (see `aggregates`).
"""

from collections.abc import Sequence
from math import hypot
from typing import Any

import numpy as np

from mbtransfer.evaluation.statistics import Interval, wilson_interval
from mbtransfer.transfer.comparison.aggregates import Values, aggregates
from mbtransfer.transfer.comparison.runs import TransferRun
from mbtransfer.transfer.model.model_transfer import ModelTransfer
from mbtransfer.transfer.model.own_model import OwnModel

POOLED, OWN = ModelTransfer.name, OwnModel.name


def transfer_gain(runs: Sequence[TransferRun], seed: int = 0) -> dict[str, Any] | None:
    """`targets`, worst first, with `pooled`, `own`, `gain` and `gain_ci95`; and `mean`, `median`, `min` with theirs.

    `negative` names the targets whose whole interval is below zero. None if not both methods have run in any target
    that can succeed.

    Args:
        runs: those of all methods; a target counts with the seeds of both.
        seed: seed of the bootstrap.
    """
    lines, gains = list[dict[str, Any]](), list[Values]()
    for name in dict.fromkeys(run.target for run in runs):
        pooled, own = (_of(runs, method, name) for method in (POOLED, OWN))
        if not (seeds := sorted(pooled.keys() & own.keys())):
            continue
        a, b = (np.array([found[one] for one in seeds]) for found in (pooled, own))
        gains.append(a - b)
        lines.append({
            "target": name, "pooled": float(a.mean()), "own": float(b.mean()), "gain": float((a - b).mean()),
            "gain_ci95": difference_interval(a, b),
        })  # fmt: skip
    if not lines:
        return None
    found = aggregates(gains, seed)
    kept = {name: value for name, value in found.items() if not name.startswith("iqm")}
    negative = [line["target"] for line in lines if line["gain_ci95"][1] < 0]
    return {"targets": sorted(lines, key=lambda line: line["gain"]), **kept, "negative": negative}


def difference_interval(a: Values, b: Values) -> Interval:
    """95% interval of the difference of two shares of successes, a - b."""
    ends = []
    for values in (a, b):
        share = float(values.mean())
        low, high = wilson_interval(round(float(values.sum())), values.size)
        ends.append((share, share - low, high - share))
    (p, down_p, up_p), (q, down_q, up_q) = ends
    return p - q - hypot(down_p, up_q), p - q + hypot(up_p, down_q)


def _of(runs: Sequence[TransferRun], method: str, target: str) -> dict[int, tuple[float, ...]]:
    """The successes of a method in a target by seed."""
    return {
        run.seed: run.success
        for run in runs
        if (run.method, run.target) == (method, target) and not run.failed and not run.continuing
    }
