"""Success on recipes that nobody wrote: random chains of named tasks, so that no one can have tuned on them.

python -m benchmarks.random_recipes --models runs/kitchen/seed-0/model runs/kitchen/seed-1/model --seed 7`.
"""

import argparse
import random
import sys
from pathlib import Path

import pandas as pd

from mbtransfer.errors import USER_ERRORS
from mbtransfer.evaluation.config import EvalConfig
from mbtransfer.evaluation.evaluate import evaluate_runs
from mbtransfer.evaluation.parallel import make_runs
from mbtransfer.evaluation.statistics import wilson_interval
from tasks.environment import Environment
from tasks.recipe import Group, Recipe, RecipeStep
from tasks.registry import make
from tasks.task import Task

ANY_ORDER = 0.3
"""Chance that steps on different fixtures become a group in any order."""

AGAIN = 0.3
"""Chance that a fixture which a recipe has moved may be moved again."""


def random_recipe(environment: Environment, name: str, split: str, rng: random.Random) -> Recipe:
    """Three to six steps, each tried once, within the time that an episode of its task has."""
    pool = [task for task in environment.tasks.values() if split in ("all", task.split)]
    chosen: list[Task] = []
    length = rng.randint(3, 6)
    while len(chosen) < length:
        task = rng.choice(pool)
        seen = any(_touch(task, other) for other in chosen)
        if task not in chosen and (not seen or rng.random() < AGAIN):
            chosen.append(task)
    steps = [RecipeStep(task, task.name, environment.spec.episode_steps) for task in chosen]
    groups: list[Group] = []
    while steps:
        size = 1
        while size < min(3, len(steps)) and rng.random() < ANY_ORDER and _apart(steps[: size + 1]):
            size += 1
        groups.append(Group(tuple(steps[:size]), any_order=size > 1))
        steps = steps[size:]
    return Recipe(name, "a random chain of tasks", tuple(groups))


def _touch(one: Task, other: Task) -> bool:
    return bool({fixture.name for fixture in one.fixtures} & {fixture.name for fixture in other.fixtures})


def _apart(steps: list[RecipeStep]) -> bool:
    return not any(_touch(steps[-1].task, step.task) for step in steps[:-1])


def measure(models: list[Path], recipes: list[Recipe], episodes: int, workers: int) -> pd.DataFrame:
    """Rows of every recipe under every model."""
    frames = []
    for number, model in enumerate(models):
        runs = make_runs(recipes, (1000 + number,), episodes)
        frames.append(evaluate_runs(EvalConfig(model=str(model)), runs, workers=workers))
    return pd.concat(frames)


def main() -> int:
    """Draw, run, count; 0 if done, 2 with one line if something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.random_recipes", description=__doc__)
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="model folders")
    parser.add_argument("--split", choices=["source", "held_out", "all"], default="all", help="tasks (all)")
    parser.add_argument("--seed", type=int, default=0, help="of the recipes (0)")
    parser.add_argument("--count", type=int, default=16, help="recipes (16)")
    parser.add_argument("--episodes", type=int, default=5, help="episodes per recipe and model (5)")
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    asked = parser.parse_args()
    rng, environment = random.Random(asked.seed), make("kitchen")
    names = [f"random-{asked.seed}-{i}" for i in range(asked.count)]
    recipes = [random_recipe(environment, name, asked.split, rng) for name in names]
    try:
        frame = measure(asked.models, recipes, asked.episodes, asked.workers)
    except USER_ERRORS as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    done = int(frame["success"].sum())
    low, high = wilson_interval(done, len(frame))
    print(
        f"{asked.count} recipes of {asked.split} tasks, {len(asked.models)} models, {len(frame)} episodes: ",
        end="",
    )
    print(f"success {done / len(frame):.3f} [{low:.3f}, {high:.3f}]")
    return 0


if __name__ == "__main__":
    sys.exit(main())
