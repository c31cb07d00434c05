"""Recipes as people type them: read, or told where the mistake is."""

import re
from dataclasses import dataclass

from tasks.errors import TaskError
from tasks.recipe.parser import parse_recipe
from tasks.recipe.recipe import Recipe, RecipeEnvironment

_SOURCE = "typed"
_PLACE = re.compile(rf"{_SOURCE}:(\d+):(?:(\d+):)? (.*)", re.DOTALL)
_AROUND = 2
"""Lines shown before a mistake."""


@dataclass(frozen=True)
class Mistake:
    """What is wrong with a text.

    Attributes:
        line: number of the line, from 1.
        column: from 1.
        message: what is wrong, and the nearest thing that is right.
    """

    line: int
    column: int
    message: str

    def shown_in(self, text: str) -> str:
        """The line with those before it, and a mark under the place."""
        lines = text.splitlines() or [""]
        first = max(1, self.line - _AROUND)
        width = len(str(self.line))
        shown = [f"{n:{width}d} | {lines[n - 1]}" for n in range(first, self.line + 1) if n <= len(lines)]
        mark = " " * (width + 3 + self.column - 1) + "^"
        return "\n".join([*shown, mark])


def read_recipe(text: str, environment: RecipeEnvironment) -> Recipe | Mistake:
    """The recipe that a text of YAML is, or the first mistake in it."""
    try:
        return parse_recipe(text, environment, source=_SOURCE)
    except TaskError as error:
        found = _PLACE.match(str(error))
        if found is None:
            return Mistake(1, 1, str(error))
        return Mistake(int(found[1]), int(found[2] or 1), found[3])
