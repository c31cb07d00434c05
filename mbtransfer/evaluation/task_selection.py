"""Selection of tasks and recipes by name, split or file."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from mbtransfer.errors import UserError
from mbtransfer.labels.labelled_task import SUFFIX, load_labelled_task
from mbtransfer.model import model_layout
from tasks.environment import Environment
from tasks.recipe import Recipe, find_recipe, shipped_recipes
from tasks.spec import nearest
from tasks.task import Task

SPLITS = ("source", "held_out", "recipes", "all")
"""The choices of `--split`."""

_MOVE = re.compile(r"move\(\s*(\w+)\s*,\s*([^\s,)]+)\s*\)")
_REACH = re.compile(r"reach\(\s*(\w+)\s*\)")
_POINT = re.compile(r"reach\(\s*([^\s,]+)\s*,\s*([^\s,]+)\s*,\s*([^\s,)]+)\s*\)")


def find_task(environment: Environment, name: str, own: Sequence[Task | Recipe] = ()) -> Task:
    """Find a task by name: a user's own task, a label file (`.csv`), a named one, or one with a target in its name.

    Names with a target are `move(drawer, 0.2)`, `reach(drawer)` and `reach(0.1, 0, 0.5)`; results use the same names.

    Raises:
        TaskError: no such task (suggests the nearest name), or a target out of range.
        UserError: it is one of the user's own recipes, or a label file that is wrong (see `load_labelled_task`).
    """
    for one in own:
        if one.name == name:
            if isinstance(one, Recipe):
                steps = ", ".join(step.label for step in one.steps)
                raise UserError(f"{name} is a sequence of tasks ({steps}), and this takes one task at a time")
            return one
    if name.endswith(SUFFIX):
        return load_labelled_task(Path(name), environment, model_layout(environment.spec))
    if match := _MOVE.fullmatch(name):
        return environment.move(match[1], _number(name, match[2]))
    if match := _REACH.fullmatch(name):
        return environment.reach(match[1])
    if match := _POINT.fullmatch(name):
        return environment.reach([_number(name, text) for text in match.groups()])
    return environment.task(name)


def find_task_or_recipe(
    environment: Environment, name: str, own: Sequence[Task | Recipe] = ()
) -> Task | Recipe:
    """The same where one of the user's own recipes will do, too.

    Raises:
        TaskError: as `find_task`.
    """
    recipes = (one for one in own if isinstance(one, Recipe) and one.name == name)
    return next(recipes, None) or find_task(environment, name, own)


def select_tasks(
    environment: Environment, *, tasks: Sequence[str] = (), recipes: Sequence[str] = (),
    split: str | None = None, own: Sequence[Task | Recipe] = (),
) -> list[Task | Recipe]:  # fmt: skip
    """The selected tasks and then the recipes, each once. `split` adds to those named.

    If nothing is named, the user's own tasks and recipes are selected; without any, and without a split, `all`.

    Raises:
        UserError: an unknown split, or two different recipes of one name.
        TaskError: an unknown task or recipe, or a recipe that is wrong.
    """
    if split is not None and split not in SPLITS:
        raise UserError(f"no split {split!r}{nearest(split, list(SPLITS))}")
    unnamed = not tasks and not recipes
    if split is None and unnamed and not own:
        split = "all"
    named = list(own) if unnamed else [find_task_or_recipe(environment, name, own) for name in tasks]
    in_split = [task for task in environment.tasks.values() if split in (task.split, "all")]
    shipped = list(shipped_recipes(environment.spec.name)) if split in ("recipes", "all") else []
    found = [find_recipe(name, environment) for name in (*map(str, recipes), *shipped)]
    return _distinct([*named, *in_split, *found])


def _distinct(asked: Iterable[Task | Recipe]) -> list[Task | Recipe]:
    """Remove duplicates; one name must mean one thing."""
    found: dict[tuple[str, str], Task | Recipe] = {}
    for one in asked:
        kind = "recipes" if isinstance(one, Recipe) else "tasks"
        if found.setdefault((kind, one.name), one) != one:
            raise UserError(f"two different {kind} are called {one.name!r}; rename one of them")
    return list(found.values())


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"task {name!r}: {text!r} is not a number; write it like move(drawer, 0.2)") from None
