"""What a robot is asked to do: found by name, and made ready to be planned for."""

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mbtransfer.errors import UserError
from mbtransfer.evaluation.config import EvalContext
from mbtransfer.evaluation.episodes import script_of
from mbtransfer.evaluation.monitors import TaskMonitor
from mbtransfer.labels.labelled_task import SUFFIX
from mbtransfer.mpc.task_reward import TaskReward
from tasks.recipe import Recipe, find_recipe, shipped_recipes
from tasks.spec import nearest
from tasks.task import Task


class Goals:
    """The tasks and recipes that robots may ask for.

    No request names a file: label files and files of recipes are given at the start, and known by their names.

    Args:
        context: model, environment, and the user's own tasks.
        given: tasks and recipes that were given at the start.
    """

    def __init__(self, context: EvalContext, given: Iterable[Task | Recipe] = ()) -> None:
        self._context = context
        known = [*context.own_tasks, *given]
        self._tasks = {one.name: one for one in known if not isinstance(one, Recipe)}
        self._recipes = {one.name: one for one in known if isinstance(one, Recipe)}

    def find(self, message: dict[str, Any]) -> Task | Recipe:
        """What a message `{task: NAME}`, `{recipe: NAME}` or `{recipe: NAME, step: NUMBER_OR_LABEL}` asks for.

        Raises:
            UserError: it asks for nothing, or for a step that is not there.
            TaskError: no such task or recipe, or a target out of range.
        """
        task, recipe, step = (message.get(key) for key in ("task", "recipe", "step"))
        if isinstance(task, str) and recipe is None:
            return self._task(task)
        if not isinstance(recipe, str) or task is not None:
            raise UserError("a goal is a task or a recipe, by its name")
        found = self._recipe(recipe)
        return found if step is None else _step(found, step)

    def _task(self, name: str) -> Task:
        if name in self._tasks:
            return self._tasks[name]
        if name.endswith(SUFFIX):
            raise UserError(f"no task {name!r}; label files are given at the start, with --tasks")
        return self._context.find_task(name)

    def _recipe(self, name: str) -> Recipe:
        if name in self._recipes:
            return self._recipes[name]
        environment = self._context.environment
        shipped = list(shipped_recipes(environment.spec.name))
        if name not in shipped:
            hint = nearest(name[:60], [*self._recipes, *shipped]) if self._recipes or shipped else ""
            raise UserError(f"no recipe {name[:60]!r}{hint}; files are given at the start, with --recipes")
        return find_recipe(name, environment)


def _step(recipe: Recipe, step: object) -> Task:
    """A step by its number from 1 or by its label."""
    steps = list(recipe.steps)
    if isinstance(step, int) and not isinstance(step, bool) and 1 <= step <= len(steps):
        return steps[step - 1].task
    labels = [one.label for one in steps]
    if step in labels:
        return steps[labels.index(str(step))].task
    raise UserError(
        f"recipe {recipe.name} has no step {str(step)[:60]!r}; there are 1 to {len(steps)}: {', '.join(labels)}"
    )


class Pursuit:
    """A robot's way to its goal: what it works on now, by what the model believes of its observations.

    Args:
        context: of the model that plans; reward heads that are not there yet are fitted.
        asked: the task or recipe.
        seed: of the planner.

    Raises:
        UserError: success cannot be told from observations.
        ModelError, PlannerError: there is no reward for it, or no such planner.
    """

    def __init__(self, context: EvalContext, asked: Task | Recipe, seed: int) -> None:
        decided = context.decide_reward([asked])
        self.asked, self._seed = asked, seed
        self._controller = decided.controller.ready_for(asked)
        self.agent = self._controller.agent(seed)
        self._monitor: TaskMonitor = script_of(self._controller, asked)
        if self._monitor.privileged:
            raise UserError(f"{asked.name} is judged by the simulator's state, which no robot observes")
        self._begun = False
        self.done = self.failed = False

    @property
    def now(self) -> str:
        """What the robot works on, in words."""
        return self.asked.name if not self._begun or self.failed else self._monitor.now(0) or self.asked.name

    @property
    def why(self) -> str:
        """Why the goal was given up, in words."""
        return self._monitor.why(0) or f"{self.asked.name} was given up"

    def advance(self, obs: Float[Tensor, "1 O"]) -> TaskReward:
        """Take note of where things are, and say what to plan for.

        A goal that is done stays the goal: what is undone by somebody is done again.
        """
        if not self._begun:
            self._monitor.begin(obs)
            self._begun = True
        elif not self.failed:
            result = self._monitor.advance(obs)
            self.done = bool(result.success[0])
            self.failed = bool(result.ended[0]) and not self.done
            self.agent.forget(torch.from_numpy(result.changed).to(obs.device))
        return self._monitor.goal()

    def restart(self) -> None:
        """A new episode begins: forget the plan, and what was done."""
        self.agent.reset()
        self._begun = self.done = self.failed = False

    def hand_over(self, to: "Pursuit") -> None:
        """Let a pursuit of the same goal with another model go on from where this one is."""
        to._monitor = self._monitor
        to._monitor.adopt(to._controller.rewards)
        to._begun, to.done, to.failed = self._begun, self.done, self.failed
