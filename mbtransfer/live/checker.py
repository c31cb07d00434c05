"""What `check` says of work before it is done, found out beside the planning."""

from collections.abc import Callable
from queue import Queue
from threading import Thread

import torch

from mbtransfer.diagnostics.check import Finding, check_task
from mbtransfer.errors import USER_ERRORS
from mbtransfer.model import Model
from tasks.recipe.recipe import Recipe, tasks_of
from tasks.task import Task


class Checker:
    """Checks tasks in a thread of its own, each once; somebody who has moved on to another is not answered.

    Args:
        model: what is checked.
        tell: called with what was found in words, in that thread.
    """

    def __init__(self, model: Model, tell: Callable[[str], None]) -> None:
        self._model, self._tell = model, tell
        self._known: dict[Task, Finding] = {}
        self._wishes: Queue[tuple[Task | Recipe, Callable[[], None] | None] | None] = Queue()
        self._thread = Thread(target=self._run, name="check", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the task that is being checked; nobody waits for that."""
        self._wishes.put(None)

    def ask(self, asked: Task | Recipe, then: Callable[[], None] | None = None) -> None:
        """Find out about a task, or about every task of a recipe, and do something after that."""
        self._wishes.put((asked, then))

    def _run(self) -> None:
        torch.set_num_threads(1)
        scene = self._model.environment.make_scene(())
        while (wish := self._wishes.get()) is not None:
            asked, then = wish
            if then is None and not self._wishes.empty():
                continue
            try:
                tasks = list(dict.fromkeys(tasks_of([asked])))
                if not all(task in self._known for task in tasks):
                    self._tell(f"check: looking at {asked.name} ...")
                for task in tasks:
                    if task not in self._known:
                        self._known[task] = check_task(self._model, task, scene)
                self._tell(in_words([self._known[task] for task in tasks]))
            except USER_ERRORS as error:
                self._tell(f"check: {error}")
            if then is not None:
                then()


def in_words(findings: list[Finding]) -> str:
    """What is known and imagined, of the riskiest of several tasks, in a line of Markdown."""
    worst = max(findings, key=lambda finding: finding.risk)
    imagined = worst.imagined_success if worst.true_success is None else worst.true_success
    of = f" (its riskiest step: {worst.task})" if len(findings) > 1 else ""
    line = f"check{of}: knows {worst.coverage:.0%} of the way, done in {imagined:.0%} of imagined episodes"
    return f"{line} · ⚠ {worst.warning}" if worst.warning else line
