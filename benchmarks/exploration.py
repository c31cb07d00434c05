"""Which data serve tasks that nobody asked for yet? `python -m benchmarks.exploration [--seeds 0 1 2] [--out DIR]`.

In the built-in kitchen: a small first pool, the same for all, and as many control steps again by each way to explore;
then a model is fitted, and the held-out tasks are planned for with learned rewards. Only the second round differs.
"""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd
from rich.markdown import Markdown

from mbtransfer.evaluation.results import read_rows
from mbtransfer.evaluation.statistics import mean_interval
from mbtransfer.protocols import Protocol, run_seed
from mbtransfer.runtime.files import write_text
from mbtransfer.runtime.terminal import Terminal
from tasks.registry import make

STEPS = 10_000
"""Control steps of each of the two rounds."""

FIRST: dict[str, Any] = {"steps": STEPS, "behaviours": ["reach=0.5", "noise=0.5"]}

WAYS: dict[str, dict[str, Any]] = {
    "noise": {"behaviours": ["noise"]},
    "planner on source tasks": {"behaviours": ["planner"], "chain": True},
    "disagreement": {"behaviours": ["explore"], "bonus": 3.0, "chain": True},
    "goals of its own": {"behaviours": ["goals"], "chain": True},
    "pulling at handles": {"behaviours": ["babble"]},
    "a third each of the last three": {
        "behaviours": ["explore", "goals", "babble"], "bonus": 3.0, "chain": True,
    },
}  # fmt: skip
"""The second round by what it is called in the table."""


def protocol(way: str, episodes: int) -> Protocol:
    """From nothing to rows of the held-out tasks."""
    tasks = tuple(name for name, task in make("kitchen").tasks.items() if task.split == "held_out")
    second = {"steps": STEPS, "candidates": 32, "noise": 0.3} | WAYS[way]
    return Protocol(
        name=way, about="", env="kitchen", rounds=(FIRST, second), between={"epochs": 10}, fit={"epochs": 20},
        evaluate={"learned": {"episodes": episodes}}, tasks=tasks, measure="success",
    )  # fmt: skip


def main() -> None:
    """Run what is missing, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exploration", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of data and models (0 1 2)")
    parser.add_argument("--episodes", type=int, default=3, help="of each held-out task (3)")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/exploration"), help="folder (runs/exploration)"
    )
    asked, console, lines = parser.parse_args(), Terminal(), list[str]()
    for way in WAYS:
        rows = []
        for seed in asked.seeds:
            console.rule(f"{way}, seed {seed}")
            folder = asked.out / way.replace(" ", "-") / f"seed-{seed}"
            (found,) = run_seed(protocol(way, asked.episodes), folder, seed, 1, console, {})
            rows.append(read_rows(found.rows / "learned.csv"))
        whole = pd.concat(rows).groupby(["seed", "episode"], as_index=False)["success"].mean()
        mean, (low, high) = mean_interval(whole, "success")
        per_seed = ", ".join(f"{one['success'].mean():.2f}" for one in rows)
        lines.append(f"| {way} | {mean:.2f} [{low:.2f}, {high:.2f}] | {per_seed} |")
    head = [f"| {STEPS:,} steps more by | held-out tasks | each seed |", "|---|---|---|"]
    text = "\n".join([*head, *lines])
    write_text(asked.out / "results.md", text + "\n")
    console.print(Markdown(text))


if __name__ == "__main__":
    main()
