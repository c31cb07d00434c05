"""Measuring: success on every split, beside the oracle, and with fewer labels."""

from pathlib import Path
from typing import Any

import pandas as pd
import torch
from rich.console import Console

from mbtransfer.atomic import write_text
from mbtransfer.evaluate import evaluate_runs
from mbtransfer.evaluation.latency import decision_latency
from mbtransfer.evaluation.runs import make_runs
from mbtransfer.evaluation.setup import Setup
from mbtransfer.model import Model
from mbtransfer.rows import read_rows
from mbtransfer.threads import threads
from mbtransfer.tracking import SILENT, Tracker
from tasks.environment import Environment
from tasks.recipe import Recipe, find_recipe, shipped_recipes
from tasks.task import Task

ORACLE = {"horizon": 10, "candidates": 32, "iterations": 2}
SCATTER = 150
"""Transitions per task in the picture of predicted against true rewards."""


def everything(environment: Environment) -> list[Task | Recipe]:
    """All named tasks and shipped recipes."""
    recipes = [find_recipe(name, environment) for name in shipped_recipes(environment.spec.name)]
    return [*environment.tasks.values(), *recipes]


def held_out(environment: Environment) -> list[Task | Recipe]:
    """The named tasks that no reward was given for."""
    return [task for task in environment.tasks.values() if task.split == "held_out"]


def run(
    setup: Setup,
    asked: list[Task | Recipe],
    episodes: int,
    seed: int,
    rows: Path,
    workers: int,
    console: Console,
    tracker: Tracker = SILENT,
) -> int:
    """Evaluate into a file of rows; the number of episodes."""
    runs = make_runs(asked, [seed], episodes)
    frame = evaluate_runs(setup, runs, workers=workers, rows=rows, console=console, tracker=tracker)
    return len(frame)


def joined(files: list[Path], out: Path) -> pd.DataFrame:
    """All rows in one file, as the report wants them."""
    parts = [file.read_text(encoding="utf-8") for file in files if file.is_file()]
    header = parts[0].partition("\n")[0]
    write_text(out, "".join([header, "\n", *(part.partition("\n")[2] for part in parts)]))
    return read_rows(out)


def latency(setup: Setup, environment: Environment) -> dict[str, float]:
    """Milliseconds of one decision in one episode on one thread."""
    task = next(task for task in environment.tasks.values() if task.split == "held_out")
    with threads(1):
        return decision_latency(setup.pilot(), task)


def reward_scatter(model: Model, names: list[str]) -> list[dict[str, Any]]:
    """True rewards beside those of heads, on transitions of the pool."""
    found = []
    rows = torch.arange(0, len(model.pool), max(1, len(model.pool) // SCATTER), device=model.device)
    some = model.pool[rows]
    for name in names:
        task = model.environment.task(name)
        true = task.reward(some.obs, some.actions, some.next_obs)
        predicted = model.rewards([task], 1000).reward(some.obs, some.actions, some.next_obs)[..., 0]
        found.append(
            {"task": f"{name} (1,000 labels)", "true": true.tolist(), "predicted": predicted.tolist()}
        )
    return found
