"""Model-based multi-task planning: one world model for many tasks in one environment.

Importing this package first makes sure that `tasks`, `world_models` and `planners` are its own (they share
names with other distributions on PyPI). It tells Gymnasium of its environment and loads nothing heavy:
each public name below is loaded when it is first used, so that `mbtransfer --help` stays quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mbtransfer import import_guard as siblings

__version__ = "0.1.0"

siblings.verify()
importlib.import_module("tasks")  # it registers mbtransfer/Kitchen-v0, and no more

# The public API: each name and the module that defines it. To add one, write `"Name": "mbtransfer.module"`;
# `from mbtransfer import Name`, `mbtransfer.Name` and `dir(mbtransfer)` then know it. No module of this package may be
# called so: importing it would put the module in the name's place.
PUBLIC: dict[str, str] = {
    "Dataset": "mbtransfer.data.dataset",
    "Episode": "mbtransfer.data.episode",
    "LabelledTask": "mbtransfer.labels.labelled_task",
    "MPCAgent": "mbtransfer.mpc.agent",
    "Model": "mbtransfer.model",
    "Task": "tasks.task",
    "UserError": "mbtransfer.errors",
    "adapt_model": "mbtransfer.training.adapt",
    "check_task": "mbtransfer.diagnostics.check",
    "collect_data": "mbtransfer.collection.collect",
    "evaluate_recipes": "mbtransfer.evaluation.episodes",
    "evaluate_tasks": "mbtransfer.evaluation.episodes",
    "film_episode": "mbtransfer.evaluation.video",
    "find_recipe": "tasks.recipe",
    "find_task": "mbtransfer.evaluation.task_selection",
    "fit_model": "mbtransfer.training.fit",
    "labels_from_preferences": "mbtransfer.labels.preferences",
    "labels_from_successes": "mbtransfer.labels.successes",
    "load_recipe": "tasks.recipe",
    "load_task_file": "mbtransfer.task_file",
    "make": "tasks.registry",
    "model_controller": "mbtransfer.mpc.controller",
    "open_dataset": "mbtransfer.collection.collect",
    "play_episodes": "mbtransfer.evaluation.episodes",
    "read_rows": "mbtransfer.evaluation.results",
    "simulator_controller": "mbtransfer.mpc.controller",
    "success_rate": "mbtransfer.evaluation.episodes",
    "summarise": "mbtransfer.evaluation.statistics",
}

if TYPE_CHECKING:  # the same names, for editors and type checkers; a test compares the two
    from mbtransfer.collection.collect import collect_data as collect_data
    from mbtransfer.collection.collect import open_dataset as open_dataset
    from mbtransfer.data.dataset import Dataset as Dataset
    from mbtransfer.data.episode import Episode as Episode
    from mbtransfer.diagnostics.check import check_task as check_task
    from mbtransfer.errors import UserError as UserError
    from mbtransfer.evaluation.episodes import evaluate_recipes as evaluate_recipes
    from mbtransfer.evaluation.episodes import evaluate_tasks as evaluate_tasks
    from mbtransfer.evaluation.episodes import play_episodes as play_episodes
    from mbtransfer.evaluation.episodes import success_rate as success_rate
    from mbtransfer.evaluation.results import read_rows as read_rows
    from mbtransfer.evaluation.statistics import summarise as summarise
    from mbtransfer.evaluation.task_selection import find_task as find_task
    from mbtransfer.evaluation.video import film_episode as film_episode
    from mbtransfer.labels.labelled_task import LabelledTask as LabelledTask
    from mbtransfer.labels.preferences import labels_from_preferences as labels_from_preferences
    from mbtransfer.labels.successes import labels_from_successes as labels_from_successes
    from mbtransfer.model import Model as Model
    from mbtransfer.mpc.agent import MPCAgent as MPCAgent
    from mbtransfer.mpc.controller import model_controller as model_controller
    from mbtransfer.mpc.controller import simulator_controller as simulator_controller
    from mbtransfer.task_file import load_task_file as load_task_file
    from mbtransfer.training.adapt import adapt_model as adapt_model
    from mbtransfer.training.fit import fit_model as fit_model
    from tasks.recipe import find_recipe as find_recipe
    from tasks.recipe import load_recipe as load_recipe
    from tasks.registry import make as make
    from tasks.task import Task as Task

__all__ = ["__version__", *PUBLIC]


def __getattr__(name: str) -> Any:
    """Load a public name from its module when it is first used (PEP 562)."""
    module = PUBLIC.get(name)
    if module is None:
        raise AttributeError(f"module 'mbtransfer' has no attribute {name!r}")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})
