"""`python -m benchmarks.rewards --model MODEL [--set develop]`: success on rewards of many kinds, by condition.

`develop` has 25 tasks to develop on; `held_back` has 15 of other kinds, to be looked at once.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from mbtransfer.config import cores
from mbtransfer.errors import USER_ERRORS, UserError
from mbtransfer.evaluation.config import EvalConfig, EvalContext
from mbtransfer.evaluation.evaluate import evaluate_runs
from mbtransfer.evaluation.parallel import Run, make_runs
from mbtransfer.runtime.terminal import Terminal

SETS = ("develop", "held_back")

CONDITIONS: dict[str, dict[str, Any]] = {
    "learned": {"reward": "learned"},
    "1,000 labels": {"reward": "learned", "labels": 1000},
    "100 labels": {"reward": "learned", "labels": 100},
    "true": {"reward": "true"},
    "true, mppi": {"reward": "true", "planner": "mppi"},
    "simulator": {"reward": "true", "dynamics": "oracle"},
}
"""How the tasks are done; where no planner is named, by the default one."""


def main() -> int:
    """Evaluate, print a table; 0 if done, 2 with one line if something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rewards", description=__doc__)
    parser.add_argument(
        "--model", type=Path, required=True, help="a model of the kitchen, such as runs/demo/model"
    )
    parser.add_argument("--set", default="develop", choices=SETS, help="which tasks (develop)")
    parser.add_argument(
        "--conditions",
        nargs="+",
        default=list(CONDITIONS),
        metavar="NAME",
        help=f"{'; '.join(CONDITIONS)} (all)",
    )
    add_episodes(parser)
    parser.add_argument("--out", type=Path, help="folder for the rows; run again to continue")
    asked = parser.parse_args()
    try:
        print(table(asked).to_string(float_format="{:.2f}".format))
    except USER_ERRORS as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def add_episodes(parser: argparse.ArgumentParser) -> None:
    """Flags that tell which episodes are done."""
    parser.add_argument("--episodes", type=int, default=10, help="for each task (10)")
    parser.add_argument("--seed", type=int, default=1000, help="of the episodes (1000)")


def task_file(tasks: str) -> Path:
    """The file of a set of tasks."""
    return Path(__file__).with_name(f"{tasks}.py")


def rows_file(folder: Path, tasks: str, condition: str) -> Path:
    """The file of the rows of a set of tasks in a condition."""
    return folder / f"{tasks}-{condition.replace(', ', '-')}.csv"


def in_condition(asked: argparse.Namespace, tasks: str, condition: str) -> tuple[EvalContext, list[Run]]:
    """How the tasks of a set are done in a condition, and the runs."""
    config = EvalConfig(model=str(asked.model), task_file=str(task_file(tasks)), **CONDITIONS[condition])
    context = config.resolve()
    return context, make_runs(list(context.own_tasks), [asked.seed], asked.episodes)


def table(asked: argparse.Namespace) -> pd.DataFrame:
    """Success of each task in each condition, and the mean.

    Raises:
        UserError: no such condition.
    """
    columns = {}
    for name in asked.conditions:
        if name not in CONDITIONS:
            raise UserError(f"no condition {name!r}; there are {'; '.join(CONDITIONS)}")
        context, runs = in_condition(asked, asked.set, name)
        rows = rows_file(asked.out, asked.set, name) if asked.out else None
        if rows:
            rows.parent.mkdir(parents=True, exist_ok=True)
        frame = evaluate_runs(context, runs, workers=cores(), rows=rows, console=Terminal())
        columns[name] = frame.groupby("task", sort=False)["success"].mean()
    found = pd.DataFrame(columns)
    return pd.concat([found, found.mean().to_frame("mean").T])


if __name__ == "__main__":
    sys.exit(main())
