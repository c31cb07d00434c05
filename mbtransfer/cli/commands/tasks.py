"""`mbtransfer tasks`: list the tasks, recipes and columns of an environment."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.table import Table

from mbtransfer.config import TasksConfig
from mbtransfer.runtime.files import write_json
from mbtransfer.runtime.terminal import Terminal
from tasks.environment import Environment
from tasks.recipe import Recipe, find_recipe, shipped_recipes
from tasks.registry import make
from tasks.task import Task

GROUPS = {
    "source": "Source tasks: the planner may be rewarded for them while data are collected",
    "targets": "Held-out targets: the same fixtures, other positions",
    "fixtures": "Held-out fixtures: never rewarded while data are collected",
}


def run_tasks(config: TasksConfig) -> None:
    """Print tasks, recipes and fixtures, and write them to a file.

    Raises:
        TaskError: there is no such environment.
        UserError: the file cannot be written.
    """
    environment = make(config.env)
    recipes = [find_recipe(name, environment) for name in shipped_recipes(environment.spec.name)]
    if config.json:
        write_json(config.json, as_dict(environment, recipes))
    _print(environment, recipes, Terminal())


def as_dict(environment: Environment, recipes: Iterable[Recipe]) -> dict[str, Any]:
    """Tasks, recipes and fixtures as plain values."""
    return {
        "tasks": [
            {"name": task.name, "split": task.split, "description": task.description}
            for task in environment.tasks.values()
        ],
        "recipes": [
            {"name": recipe.name, "steps": [step.label for step in recipe.steps]} for recipe in recipes
        ],
        "fixtures": [
            {"name": fixture.name, "low": fixture.low, "high": fixture.high, "unit": fixture.unit}
            for fixture in environment.spec.fixtures
        ],
    }


def group_of(task: Task, environment: Environment) -> str:
    """The group of a task: `source`, `targets` (other targets of those fixtures) or `fixtures` (held out)."""
    if task.split == "source":
        return "source"
    sources = (other for other in environment.tasks.values() if other.split == "source")
    rewarded = {fixture.name for other in sources for fixture in other.fixtures}
    return "targets" if {fixture.name for fixture in task.fixtures} <= rewarded else "fixtures"


def _print(environment: Environment, recipes: Iterable[Recipe], console: Terminal) -> None:
    for group, title in GROUPS.items():
        tasks = [task for task in environment.tasks.values() if group_of(task, environment) == group]
        rows = [(task.name, task.description) for task in tasks]
        _table(console, title, "task", "description", rows)
    rows = [(recipe.name, _steps(recipe)) for recipe in recipes]
    _table(console, "Recipes: all held out", "recipe", "steps", rows)
    fixtures = environment.spec.fixtures
    rows = [(f.name, f"{f.low:g} to {f.high:g} {f.unit}") for f in fixtures]
    title = "Fixtures: move(NAME, TARGET) is a task for any target in the range"
    _table(console, title, "fixture", "range", rows)


def _table(console: Terminal, title: str, first: str, second: str, rows: Sequence[tuple[str, str]]) -> None:
    if not rows:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, style="bold", no_wrap=True, min_width=max(20, len(first)))
    table.add_column(second)
    for name, text in rows:
        table.add_row(name, text)
    console.print(title, style="bold cyan")
    console.print(table)


def _steps(recipe: Recipe) -> str:
    """The steps in order; steps joined by `+` may come in any order, steps in brackets may be skipped."""
    groups = []
    for group in recipe.groups:
        labels = [f"[{step.label}]" if step.optional else step.label for step in group.steps]
        groups.append((" + " if group.any_order else " → ").join(labels))
    return " → ".join(groups)
