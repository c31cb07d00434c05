"""Are plans as good in bfloat16? Success and returns of the same episodes planned in both number formats.

python -m benchmarks.precision --models runs/kitchen/seed-0/model runs/kitchen/seed-1/model [--episodes 5]
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import bootstrap

from mbtransfer.errors import USER_ERRORS
from mbtransfer.evaluation.config import EvalConfig
from mbtransfer.evaluation.evaluate import evaluate_runs
from mbtransfer.evaluation.parallel import make_runs
from mbtransfer.evaluation.task_selection import select_tasks
from mbtransfer.runtime.files import write_json
from tasks.registry import make

FORMATS = ("float32", "bfloat16")


def measure(models: list[Path], split: str, episodes: int, workers: int) -> pd.DataFrame:
    """Mean success and return of each task under each model (rows) in each format (columns)."""
    asked = select_tasks(make("kitchen"), tasks=(), recipes=(), split=split, own=())
    frames = []
    for number, model in enumerate(models):
        setup, runs = EvalConfig(model=str(model)), make_runs(asked, (1000 + number,), episodes)
        for name in FORMATS:
            rows = evaluate_runs(replace(setup, precision=name), runs, workers=workers)
            frames.append(rows.assign(precision=name, model=str(model)))
    rows = pd.concat(frames)
    keys = ["model", "split", "task", "precision"]
    return rows.groupby(keys)[["success", "return_"]].mean().unstack("precision")


def difference(table: pd.DataFrame, what: str) -> dict[str, float]:
    """Mean of bfloat16 minus float32 over models and tasks, with a paired bootstrap interval of 95%."""
    gaps = (table[what]["bfloat16"] - table[what]["float32"]).to_numpy(dtype=float)
    found = {name: float(table[what][name].mean()) for name in FORMATS} | {"difference": float(gaps.mean())}
    if np.ptp(gaps) == 0:
        return found | {"low": found["difference"], "high": found["difference"]}
    rng = np.random.default_rng(0)
    interval = bootstrap((gaps,), np.mean, n_resamples=5000, rng=rng, method="percentile").confidence_interval
    return found | {"low": float(interval.low), "high": float(interval.high)}


def main() -> int:
    """Measure, print, and write if asked to; 0 if done, 2 with one line if something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.precision", description=__doc__)
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="model folders")
    parser.add_argument("--split", default="all", choices=["source", "held_out", "recipes", "all"])
    parser.add_argument("--episodes", type=int, default=5, help="per task and model (5)")
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    parser.add_argument("--json", type=Path, help="file for the figures")
    asked = parser.parse_args()
    try:
        table = measure(asked.models, asked.split, asked.episodes, asked.workers)
    except USER_ERRORS as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    found = {what: difference(table, what) for what in ("success", "return_")}
    print(f"{len(table)} tasks and models, {asked.episodes} episodes each; bfloat16 minus float32:")
    for what, n in found.items():
        gap = f"{n['difference']:+.4f} [{n['low']:+.4f}, {n['high']:+.4f}]"
        print(f"{what.strip('_'):8} {n['float32']:.4f} -> {n['bfloat16']:.4f}: {gap}")
    if asked.json:
        write_json(asked.json, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
