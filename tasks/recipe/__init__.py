"""Recipes: tasks in order, written in YAML."""

from tasks.recipe.parser import find_recipe, load_recipe, parse_recipe, shipped_recipes
from tasks.recipe.progress import PerStep, RecipeProgress, StepState
from tasks.recipe.recipe import DEFAULT_GRACE, DEFAULT_HOLD, Group, Recipe, RecipeEnvironment, RecipeStep

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
