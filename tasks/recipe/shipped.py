"""The recipes that come with an environment, by name."""

import os
from importlib.resources import files
from pathlib import Path

from tasks.errors import TaskError
from tasks.recipe.model import Recipe, RecipeEnvironment
from tasks.recipe.nodes import quoted
from tasks.recipe.parse import load_recipe
from tasks.spec import nearest


def shipped_recipes(env_name: str) -> dict[str, Path]:
    """Name to file of the recipes that ship with an environment, sorted; empty if there are none."""
    if not env_name.isidentifier():
        return {}
    folder = Path(str(files("tasks"))) / env_name / "recipes"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find_recipe(name_or_path: str | Path, env: RecipeEnvironment) -> Recipe:
    """The shipped recipe of that name, or else the recipe in that file.

    Raises:
        TaskError: There is neither (with the nearest shipped name), or the file is wrong.
    """
    wanted = str(name_or_path)
    shipped = shipped_recipes(env.spec.name)
    if isinstance(name_or_path, str) and wanted in shipped:
        return load_recipe(shipped[wanted], env)
    path = Path(wanted)
    if path.suffix in (".yaml", ".yml") or path.name != wanted or os.path.lexists(path):
        return load_recipe(path, env)
    hint = nearest(wanted[:60], list(shipped)) if shipped else ""
    raise TaskError(f"no recipe {quoted(wanted)} ships with {env.spec.name}, and no such file{hint}")
