"""Warnings of tasks of which the pool says nothing, before they are pursued."""

import warnings
from collections.abc import Iterable

from mbtransfer.model import Model
from mbtransfer.task_guard import fault
from tasks.recipe.recipe import Recipe, tasks_of
from tasks.task import Task, simple_parts

_SLOPE = "let it grow on the way to the goal, for instance minus a distance"
_ADAPT = "move its threshold, or adapt the model with a few episodes"


class UnseenGoalWarning(UserWarning):
    """A user's task whose reward or success is the same all over the pool."""


def warn_of_labels(model: Model | None, asked: Iterable[Task | Recipe], *, learned: bool) -> None:
    """Warn of users' tasks whose reward or success is the same in all transitions of the pool.

    Args:
        model: its pool is looked at; None if there is none.
        asked: the tasks and recipes of a run.
        learned: whether their rewards are learned.

    Raises:
        FaultyTask: a reward is not finite, or there is nothing to learn it from.
    """
    if model is None:
        return
    parts = dict.fromkeys(part for task in tasks_of(asked) for part in simple_parts(task))
    for task in (part for part in parts if part.split == "user" and not part.privileged):
        labels = model.label(task, model.label_count(None))
        reward, success = labels.reward, labels.success
        flat, never = bool(reward.amin() == reward.amax()), not bool(success.any())
        seen = f"{len(reward):,} transitions of the pool"
        if flat and never and learned:
            nothing = f"is the same in all {seen}, and success true in none"
            raise fault(task, "reward", f"{nothing}: there is nothing to learn; {_SLOPE}")
        if flat:
            _warn(task, "reward", f"is the same in all {seen}; {_SLOPE}")
        if never and not task.continuing:
            _warn(task, "success", f"is true in none of {seen}; {_ADAPT}")
        if bool(success.all()):
            _warn(task, "success", f"is true in all {seen}; move its threshold")


def _warn(task: Task, method: str, problem: str) -> None:
    warnings.warn(str(fault(task, method, problem)), UnseenGoalWarning, stacklevel=3)
