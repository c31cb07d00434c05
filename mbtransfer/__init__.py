"""One world model of one room; any number of tasks in it, planned at once.

Importing this package first makes sure that `tasks`, `world_models` and `planners` are its own (they share
names with other distributions on PyPI). It tells Gymnasium of its environment and loads nothing heavy:
each public name below is loaded when it is first used, so that `mbtransfer --help` stays quick.
"""

from __future__ import annotations

import importlib
from typing import Any

from mbtransfer import siblings

__version__ = "0.1.0"

siblings.verify()
importlib.import_module("tasks")  # it registers mbtransfer/Kitchen-v0, and no more

# The public API: each name and the module that defines it. To add one, write `"Name": "mbtransfer.module"`;
# `from mbtransfer import Name`, `mbtransfer.Name` and `dir(mbtransfer)` then know it. No module of this package may be
# called so: importing it would put the module in the name's place.
PUBLIC: dict[str, str] = {
    "Dataset": "mbtransfer.dataset",
    "Episode": "mbtransfer.episode",
    "MPCAgent": "mbtransfer.agent",
    "Model": "mbtransfer.model",
    "Task": "tasks.task",
    "UserError": "mbtransfer.errors",
    "adapt_model": "mbtransfer.adapt",
    "check_task": "mbtransfer.trust.check",
    "collect_data": "mbtransfer.collecting.collect",
    "evaluate_recipes": "mbtransfer.evaluation",
    "evaluate_tasks": "mbtransfer.evaluation",
    "film_episode": "mbtransfer.evaluation.filming",
    "find_recipe": "tasks.recipe",
    "find_task": "mbtransfer.evaluation.asked",
    "fit_model": "mbtransfer.fitting",
    "learned_pilot": "mbtransfer.evaluation",
    "load_recipe": "tasks.recipe",
    "load_task_file": "mbtransfer.task_file",
    "make": "tasks.registry",
    "open_dataset": "mbtransfer.collecting.collect",
    "oracle_pilot": "mbtransfer.evaluation",
    "play_episodes": "mbtransfer.evaluation",
    "read_rows": "mbtransfer.rows",
    "success_rate": "mbtransfer.evaluation",
    "summarise": "mbtransfer.statistics",
}

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
