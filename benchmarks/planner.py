"""How long one decision takes: `python -m benchmarks.planner [--json FILE]`, which is what `make speed` runs.

One thread, one episode, random weights: speed does not depend on what a model has learned.
"""

import argparse
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks import speed
from mbtransfer import __version__
from mbtransfer.runtime.environment import threads
from mbtransfer.runtime.files import write_json
from tasks.registry import make

TASK = "drawer_half"


def measure(decisions: int, seconds: float) -> dict[str, Any]:
    """Everything, on one thread.

    Args:
        decisions: how many are timed for each planner.
        seconds: how long each rate is measured.
    """
    environment = make("kitchen")
    with threads(1):
        return {
            "decisions": speed.decisions(environment, environment.task(TASK), decisions),
            "imagination": speed.imagination(environment, seconds),
            "simulation": speed.simulation(environment, seconds),
            "machine": {"processor": platform.machine(), "system": platform.system(), "threads": 1},
            "versions": {name: version(name) for name in ("torch", "mujoco")} | {"mbtransfer": __version__},
        }


def show(found: dict[str, Any], console: Console) -> None:
    """Print the numbers as a table."""
    table = Table(title="One decision, one episode, one thread", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("planner", "p50 ms", "p95 ms", "p99 ms", "plans", "rounds", "steps ahead"):
        table.add_column(heading, justify="left" if heading == "planner" else "right", no_wrap=True)
    for row in found["decisions"]:
        name = f"{row['planner']} (default)" if row["default"] else row["planner"]
        budget = [str(row["budget"].get(key, 1)) for key in ("candidates", "iterations", "horizon")]
        table.add_row(name, *(f"{row[p]:.1f}" for p in ("p50", "p95", "p99")), *budget)
    console.print(table)
    model, world = found["imagination"], found["simulation"]
    lines = [
        f"model: {model['model_steps_per_second']:,.0f} steps per second in float32, "
        f"{model['ratio_to_plain_loop']:.1f} times a plain loop over networks of as many weights",
        f"simulator: {world['scene_step_per_second']:,.0f} control steps per second through Scene.step "
        f"({world['scene_step_share_of_mujoco']:.0%} of bare MuJoCo), "
        f"{world['rollout_per_second']:,.0f} through Scene.rollout",
    ]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def main() -> None:
    """Measure, show, and write if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.planner", description="Measure speed.")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--decisions", type=int, default=100, help="decisions timed for each planner (100)")
    parser.add_argument("--seconds", type=float, default=2.0, help="seconds for each rate (2)")
    asked = parser.parse_args()
    found = measure(asked.decisions, asked.seconds)
    show(found, Console())
    if asked.json:
        write_json(asked.json, found)


if __name__ == "__main__":
    main()
