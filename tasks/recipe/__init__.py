"""Recipes: several tasks in order, written in YAML, and where an episode stands in one."""

from tasks.recipe.model import (
    DEFAULT_GRACE,
    DEFAULT_HOLD,
    Group,
    Recipe,
    RecipeEnvironment,
    RecipeStep,
)
from tasks.recipe.parse import load_recipe, parse_recipe
from tasks.recipe.progress import PerStep, RecipeProgress, StepState
from tasks.recipe.shipped import find_recipe, shipped_recipes

__all__ = [
    "DEFAULT_GRACE",
    "DEFAULT_HOLD",
    "Group",
    "PerStep",
    "Recipe",
    "RecipeEnvironment",
    "RecipeProgress",
    "RecipeStep",
    "StepState",
    "find_recipe",
    "load_recipe",
    "parse_recipe",
    "shipped_recipes",
]
