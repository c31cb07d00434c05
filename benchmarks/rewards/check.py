"""`python -m benchmarks.rewards.check --model MODEL --rows FOLDER`: does `check_task` tell beforehand what will fail?

Its risk is compared with the success of episodes planned with the same learned heads, whose rows
`python -m benchmarks.rewards --out FOLDER` has written. A task fails if at most half of its episodes succeed.
"""

import argparse
import sys
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.rewards.__main__ import CONDITIONS, SETS, add_episodes, in_condition, rows_file, task_file
from mbtransfer.config import cores
from mbtransfer.diagnostics.check import RISKY, check_task
from mbtransfer.diagnostics.novelty import auroc
from mbtransfer.errors import USER_ERRORS, UserError
from mbtransfer.evaluation.config import EvalConfig, EvalContext
from mbtransfer.evaluation.results_store import ResultsStore
from mbtransfer.model import LABELS
from mbtransfer.runtime.environment import threads
from mbtransfer.runtime.executors import in_processes
from mbtransfer.runtime.progress import progress_bar
from mbtransfer.runtime.terminal import Terminal

HEADS = {
    how.get("labels", LABELS): name
    for name, how in CONDITIONS.items()
    if how["reward"] == "learned" and how.get("dynamics", "learned") == "learned"
}
"""Conditions with learned heads, by the number of labels."""

FAILS = 0.5
"""A task fails if no more of its episodes than this succeed."""

RESAMPLES = 2000

Job = tuple[str, str, int]
"""A set of tasks, a task of it, and the number of labels behind its head."""


def main() -> int:
    """Check, print the figures; 0 if done, 2 with one line if something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rewards.check", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="the model that the rows are of")
    parser.add_argument("--set", nargs="+", default=SETS, choices=SETS, help="which tasks (all)")
    parser.add_argument(
        "--labels", type=int, nargs="+", default=list(HEADS), choices=list(HEADS), help="behind a head (all)"
    )
    parser.add_argument(
        "--rows", type=Path, required=True, help="what `python -m benchmarks.rewards --out` wrote"
    )
    parser.add_argument("--workers", type=int, default=cores(), help="processes (all cores)")
    add_episodes(parser)
    asked = parser.parse_args()
    try:
        found = measure(asked)
    except USER_ERRORS as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(table(found).to_string(index=False))
    print("\n".join(mistakes(found)))
    return 0


def measure(asked: argparse.Namespace) -> pd.DataFrame:
    """A line for each task and number of labels: its risk beforehand, and its success.

    Raises:
        UserError: episodes are missing in the folder of rows, or were made with other settings.
    """
    success: dict[Job, float] = {}
    for tasks in asked.set:
        for labels in asked.labels:
            for name, rate in successes(asked, tasks, labels).items():
                success[tasks, str(name), labels] = rate
    risk: dict[Job, float] = {}
    with progress_bar(Terminal(), "checking", len(success), "heads") as advance:
        for job, found in in_processes(partial(_risk, asked.model), list(success), asked.workers):
            risk[job] = found
            advance(1)
    lines = [(*job, risk[job], rate) for job, rate in success.items()]
    return pd.DataFrame(lines, columns=["set", "task", "labels", "risk", "success"])


def successes(asked: argparse.Namespace, tasks: str, labels: int) -> pd.Series:
    """Success of each task of a set, planned with heads of so many labels.

    Raises:
        UserError: episodes are missing in the folder of rows, or were made with other settings.
    """
    condition = HEADS[labels]
    file = rows_file(asked.rows, tasks, condition)
    context, runs = in_condition(asked, tasks, condition)
    store = ResultsStore(file, context)
    if store.missing(runs):
        how = f"--model {asked.model} --set {tasks} --conditions {condition!r} --out {asked.rows}"
        episodes = f"--episodes {asked.episodes} --seed {asked.seed}"
        raise UserError(f"{file} lacks episodes; run: python -m benchmarks.rewards {how} {episodes}")
    return store.rows(runs).groupby("task", sort=False)["success"].mean()


def _risk(model: Path, job: Job) -> float:
    tasks, name, labels = job
    with threads(1):
        context = _context(model, tasks)
        assert context.model is not None
        task, scene = context.find_task(name), context.controller.scene
        return check_task(context.model, task, scene, labels=labels).risk


@cache  # once per process
def _context(model: Path, tasks: str) -> EvalContext:
    return EvalConfig(model=str(model), task_file=str(task_file(tasks))).resolve()


def table(found: pd.DataFrame) -> pd.DataFrame:
    """AUROC of the risk for failure, with an interval of 95%, for each number of labels and for all."""
    groups = [(f"{labels:,}", group) for labels, group in found.groupby("labels", sort=False)]
    return pd.DataFrame([_line(name, group) for name, group in [*groups, ("all", found)]])


def _line(labels: str, found: pd.DataFrame) -> dict[str, object]:
    value = discrimination(found["risk"].to_numpy(), found["success"].to_numpy())
    shown = "-" if value is None else f"{value:.2f} [{' '.join(f'{end:.2f}' for end in interval(found))}]"
    fails = int((found["success"] <= FAILS).sum())
    return {"labels": labels, "heads": len(found), "fail": fails, "AUROC": shown}


def discrimination(risk: np.ndarray, success: np.ndarray) -> float | None:
    """AUROC of the risk for failure; None where all fail, or none."""
    fails = success <= FAILS
    return auroc(risk[fails], risk[~fails])


def interval(found: pd.DataFrame) -> tuple[float, float]:
    """95% of the AUROCs of tasks drawn with replacement, each with all its heads; draws without both kinds left out."""
    wide = found.pivot(index="task", columns="labels", values=["risk", "success"])
    risk, success = wide["risk"].to_numpy(), wide["success"].to_numpy()
    drawn = np.random.default_rng(0).integers(len(wide), size=(RESAMPLES, len(wide)))
    values = [discrimination(risk[rows].ravel(), success[rows].ravel()) for rows in drawn]
    low, high = np.quantile([value for value in values if value is not None], [0.025, 0.975])
    return float(low), float(high)


def mistakes(found: pd.DataFrame) -> list[str]:
    """Tasks that are risky and do well, or fail without being risky."""
    wrong = found[(found["risk"] > RISKY) != (found["success"] <= FAILS)]
    lines = [
        f"{one.task}, {one.labels:,} labels: risk {one.risk:.2f}, success {one.success:.2f}"
        for one in wrong.itertuples()
    ]
    return [f"wrong about {len(wrong)} of {len(found)} (risk above {RISKY} for a failure):", *lines]


if __name__ == "__main__":
    sys.exit(main())
