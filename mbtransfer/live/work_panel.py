"""Where people give the robot work: a task from the list, or a recipe from the list or typed."""

from collections.abc import Callable
from typing import Any

import viser

from mbtransfer.evaluation.config import EvalContext
from mbtransfer.live.recipe_text import Mistake, read_recipe
from tasks.recipe.parser import shipped_recipes
from tasks.recipe.recipe import Recipe
from tasks.task import Task

_NEW = """\
name: my_recipe
steps:
  - {task}
"""


class TaskPanel:
    """A task from the list.

    Args:
        gui: of viser, in the place where the panel goes.
        context: has the tasks.
        give: gives the robot the task.
        chosen: called with each task that somebody chooses.
    """

    def __init__(
        self,
        gui: viser.GuiApi,
        context: EvalContext,
        give: Callable[[Task], None],
        chosen: Callable[[Task], None],
    ) -> None:
        named = [task for task in context.own_tasks if isinstance(task, Task)]
        self._tasks = {task.name: task for task in (*named, *context.environment.tasks.values())}
        self._choice = gui.add_dropdown("Task", tuple(self._tasks))
        self._about = gui.add_markdown("")
        button = gui.add_button("Do it", icon=viser.Icon.PLAYER_PLAY)
        button.on_click(lambda _: give(self.task))
        self._chosen = chosen
        self._choice.on_update(lambda _: self._changed())
        self._look()

    @property
    def task(self) -> Task:
        """The task that is chosen."""
        return self._tasks[self._choice.value]

    def _look(self) -> None:
        self._about.content = f"{self.task.description} · *{self.task.split.replace('_', ' ')}*"

    def _changed(self) -> None:
        self._look()
        self._chosen(self.task)


class RecipePanel:
    """A recipe from the list or typed; what is wrong with it is shown at its line while it is typed.

    Args:
        gui: of viser, in the place where the panel goes.
        context: has the recipes, tasks and fixtures.
        give: gives the robot the recipe.
    """

    def __init__(self, gui: viser.GuiApi, context: EvalContext, give: Callable[[Recipe], None]) -> None:
        self._environment = context.environment
        self._own = {one.name: one for one in context.own_tasks if isinstance(one, Recipe)}
        self._files = shipped_recipes(context.environment.spec.name)
        self._give = give
        first = _NEW.format(task=next(iter(context.environment.tasks), "..."))
        self._choice = gui.add_dropdown("Begin with", ("a new one", *self._files, *self._own))
        self._editor = gui.add_text("Recipe", first, multiline=True)
        self._verdict = gui.add_markdown("")
        button = gui.add_button("Do it", icon=viser.Icon.PLAYER_PLAY)
        self._choice.on_update(lambda _: self._fill(first))
        self._editor.on_update(lambda _: self._show())
        button.on_click(lambda _: self._do())
        self._read()

    def _fill(self, new: str) -> None:
        file = self._files.get(self._choice.value)
        own = self._choice.value in self._own
        self._editor.visible = not own
        if not own:
            text = file.read_text(encoding="utf-8") if file else new
            put(self._editor, text)
        self._show()

    def _show(self) -> None:
        self._read()

    def _read(self) -> Recipe | None:
        """The recipe as it stands; None where there is a mistake in it, which is shown."""
        own = self._own.get(self._choice.value)
        found = own or read_recipe(self._editor.value, self._environment)
        if isinstance(found, Mistake):
            self._verdict.content = (
                f"**line {found.line}**: {found.message}\n\n```\n{found.shown_in(self._editor.value)}\n```"
            )
            return None
        self._verdict.content = f"✔ steps: {len(found.steps)}; control steps at most: {found.total_timeout}"
        return found

    def _do(self) -> None:
        recipe = self._read()
        if recipe is not None:
            self._give(recipe)


def put(control: Any, value: Any) -> None:
    """Set a control's value; viser's own types call it read-only."""
    control.value = value
