"""`mbtransfer prepare`: a policy and a value for tasks that nobody trained for, from imagination alone."""

from typing import Any

from rich.console import Console

from mbtransfer.config import PrepareConfig
from mbtransfer.errors import UserError
from mbtransfer.evaluation.asked import find_asked
from mbtransfer.model import Model
from mbtransfer.prepare import prepare
from mbtransfer.progress import progress_bar
from mbtransfer.task_file import load_task_file
from tasks.task import Task


def run_prepare(config: PrepareConfig, console: Console | None = None) -> dict[str, Any]:
    """Train in imagination, and lay the result beside the model.

    Raises:
        UserError, TaskError, ModelError: anything that is wrong with the input.
    """
    console, found = console or Console(), {}
    model = Model.load(config.model, device=config.device)
    own = load_task_file(config.task_file, model.environment) if config.task_file else ()
    asked = find_asked(model.environment, tasks=config.tasks, split=config.split, own=own)
    tasks = [task for task in asked if isinstance(task, Task)]
    if not tasks:
        raise UserError("no task to prepare for; name some with --tasks")
    for task in tasks:
        found[task.name] = _one(config, model, task, console)
    console.print(f"evaluate and plan use it: mbtransfer evaluate --model {config.model}", soft_wrap=True)
    return found


def _one(config: PrepareConfig, model: Model, task: Task, console: Console) -> dict[str, Any]:
    shown = 0
    with progress_bar(console, f"preparing {task.name}", 1000, "parts") as advance:

        def report(share: float) -> None:
            nonlocal shown
            now = min(1000, round(1000 * share))
            advance(now - shown)
            shown = now

        prepared = prepare(
            model,
            task,
            config.seconds,
            updates=config.updates,
            labels=config.labels,
            method=config.method,
            seed=config.seed,
            report=report,
        )
    path, notes = prepared.save(config.model), prepared.notes
    of = "imagined reward" if config.method == "imagination" else "the pool's reward"
    console.print(
        f"{task.name}: {notes['updates']:,} updates in {notes['seconds']:.0f} s, {of} "
        f"{notes['imagined']:.3f} per control step; wrote {path}",
        highlight=False, soft_wrap=True, markup=False,
    )  # fmt: skip
    return notes
