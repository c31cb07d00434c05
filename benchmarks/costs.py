"""What work costs, and how that grows: `python -m benchmarks.costs --model MODEL [--pairs 2] [--json FILE]`.

Collects, opens, fits and evaluates in the built-in kitchen, each at two sizes, on an idle machine; MODEL is any of its
models. Evaluation runs with one worker and with two in turns. Printed are the costs that docs/scaling.md speaks of.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.markdown import Markdown

from mbtransfer.collection.collect import collect_data
from mbtransfer.data import Dataset
from mbtransfer.model import Model
from mbtransfer.runtime.files import write_json
from mbtransfer.training.fit import fit_model
from tasks.registry import make
from tasks.task import Task
from world_models.training.trainer import TrainingConfig

SIZES = 50_000, 100_000
"""Control steps of the two datasets."""

TASKS = 25, 50
"""Heads that are fitted."""

EPISODES, SEEDS = 20, (0, 1)
"""Episodes per task and seed of an evaluation of all named tasks."""


def seconds(work: Callable[[], object]) -> float:
    """How long something takes by the clock."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def transitions(home: Path) -> dict[str, Any]:
    """Collecting with two workers, storing, opening, and one epoch on each of the two datasets."""
    kitchen, found = make("kitchen"), dict[str, Any]()
    for steps in SIZES:
        folder = home / str(steps)
        took = seconds(lambda folder=folder, steps=steps: collect_data(kitchen, folder, steps, workers=2))
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        opened = seconds(lambda folder=folder: Dataset.open(folder))
        dataset, so_far = Dataset.open(folder), [0.0]
        fit_model(
            kitchen, dataset, home / f"model-{steps}", settings=TrainingConfig(epochs=5), device="cpu",
            report=lambda epoch, so_far=so_far: so_far.append(epoch.seconds),
        )  # fmt: skip
        found[f"{steps}"] = {
            "collect_per_second": dataset.steps / took, "bytes": size / dataset.steps,
            "open_per_second": dataset.steps / opened, "epoch_seconds": float(np.median(np.diff(so_far))),
        }  # fmt: skip
    return found


def heads(model: Model) -> dict[str, Any]:
    """Fitting the reward heads of tasks that were never asked for."""
    found, spec = {}, model.environment.spec
    for count in TASKS:
        asked: list[Task] = []
        for number in range(count):
            fixture = spec.fixtures[number % len(spec.fixtures)]
            asked.append(
                model.environment.move(fixture.name, fixture.low + fixture.span * (number + 1) / (count + 1))
            )
        model.heads.clear()
        found[f"{count}"] = {"seconds_per_head": seconds(lambda asked=asked: model.rewards(asked)) / count}
    return found


def evaluation(folder: Path, pairs: int) -> dict[str, Any]:
    """The same episodes by one worker and by two, in turns: whole commands, with all that begins and ends them."""
    tasks = list(make("kitchen").tasks)
    line = [sys.executable, "-m", "mbtransfer", "evaluate", "--model", str(folder), "--tasks", *tasks]
    line += ["--episodes", str(EPISODES), "--seeds", *map(str, SEEDS), "--device", "cpu", "--workers"]
    episodes = len(tasks) * EPISODES * len(SEEDS)

    def rate(workers: int) -> float:
        return episodes / seconds(
            lambda: subprocess.run([*line, str(workers)], check=True, stdout=subprocess.DEVNULL)
        )

    rates = np.array([[rate(1), rate(2)] for _ in range(pairs)])
    ratios = rates[:, 1] / rates[:, 0]
    return {
        "episodes": episodes, "per_second_by_one": float(np.median(rates[:, 0])),
        "per_second_by_two": float(np.median(rates[:, 1])), "ratio": float(np.median(ratios)),
        "ratios": [float(ratio) for ratio in ratios],
    }  # fmt: skip


def as_markdown(found: dict[str, Any]) -> str:
    """The table of docs/scaling.md."""
    small, large = (found["transitions"][str(size)] for size in SIZES)
    few, many = (found["heads"][str(count)]["seconds_per_head"] for count in TASKS)
    told = found["evaluation"]
    lines = [
        "| | smaller | larger |", "|---|---|---|",
        f"| control steps | {SIZES[0]:,} | {SIZES[1]:,} |",
        *(
            f"| {label} | {small[name]:{form}} | {large[name]:{form}} |"
            for label, name, form in (
                ("collected per second, two workers", "collect_per_second", ",.0f"),
                ("bytes on the disk per step", "bytes", ",.0f"),
                ("opened and checked per second", "open_per_second", ",.0f"),
                ("one epoch of `fit`, s", "epoch_seconds", ".2f"),
            )
        ),
        f"| tasks | {TASKS[0]} | {TASKS[1]} |",
        f"| one reward head from 10,000 labels, s | {few:.2f} | {many:.2f} |",
        "",
        f"{told['episodes']} evaluation episodes: {told['per_second_by_one']:.1f} per second by one worker, "
        f"{told['per_second_by_two']:.1f} by two ({told['ratio']:.2f} times; pairs "
        f"{', '.join(f'{ratio:.2f}' for ratio in told['ratios'])}).",
    ]  # fmt: skip
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.costs", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder of a model of the kitchen")
    parser.add_argument("--pairs", type=int, default=2, help="evaluations by one worker and by two (2)")
    parser.add_argument("--json", type=Path, help="file for the figures")
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    found: dict[str, Any] = {"evaluation": evaluation(asked.model, asked.pairs)}
    found["heads"] = heads(Model.load(asked.model, device="cpu"))
    with tempfile.TemporaryDirectory() as home:
        found["transitions"] = transitions(Path(home))
    if asked.json:
        write_json(asked.json, found)
    Console().print(Markdown(as_markdown(found)))


if __name__ == "__main__":
    main()
