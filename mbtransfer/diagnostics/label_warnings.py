"""Warnings of tasks whose labels tell nothing, before they are pursued."""

import warnings
from collections.abc import Iterable

from mbtransfer.labels.labelled_task import LabelledTask
from mbtransfer.model import Model
from mbtransfer.task_guard import fault
from tasks.recipe.recipe import Recipe, tasks_of
from tasks.task import Task, simple_parts

_OF_FUNCTION = (
    "let it grow on the way to the goal, for instance minus a distance",
    "move its threshold, or adapt the model with a few episodes",
    "move its threshold",
)
_OF_LABELS = ("label transitions of other rewards", "label some successes", "label some that are none")
"""What to do about a reward that is always the same, a success that is never true, and one that always is."""


class UnseenGoalWarning(UserWarning):
    """A user's task whose reward or success is the same all over the pool, or in all its labels."""


def warn_of_labels(
    model: Model | None, asked: Iterable[Task | Recipe], *, learned: bool, successes: bool = True
) -> None:
    """Warn of users' tasks whose reward or success is the same in all transitions of the pool, or in all labels.

    Args:
        model: its pool is looked at; None if there is none.
        asked: the tasks and recipes of a run.
        learned: whether their rewards are learned.
        successes: whether to warn of success, too.

    Raises:
        FaultyTask: a reward is not finite, or there is nothing to learn it from.
    """
    if model is None:
        return
    parts = dict.fromkeys(part for task in tasks_of(asked) for part in simple_parts(task))
    for task in (part for part in parts if part.split == "user" and not part.privileged):
        labels = model.label(task, model.label_count(None))
        reward, success = labels.reward, labels.success
        flat, never, always = (
            bool(reward.amin() == reward.amax()),
            not bool(success.any()),
            bool(success.all()),
        )
        labelled = isinstance(task, LabelledTask)
        grow, reach, leave = _OF_LABELS if labelled else _OF_FUNCTION
        seen = f"{len(reward):,} {'labels' if labelled else 'transitions of the pool'}"
        if flat and never and learned:
            nothing = f"is the same in all {seen}, and success true in none"
            raise fault(task, "reward", f"{nothing}: there is nothing to learn; {grow}")
        if flat:
            _warn(task, "reward", f"is the same in all {seen}; {grow}")
        if successes and never and not task.continuing:
            _warn(task, "success", f"is true in none of {seen}; {reach}")
        if successes and always:
            _warn(task, "success", f"is true in all {seen}; {leave}")


def _warn(task: Task, method: str, problem: str) -> None:
    warnings.warn(str(fault(task, method, problem)), UnseenGoalWarning, stacklevel=3)
