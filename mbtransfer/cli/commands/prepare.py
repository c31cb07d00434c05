"""`mbtransfer prepare`: train a policy and a value function for each task without environment steps."""

from typing import Any

from mbtransfer.config import PrepareConfig
from mbtransfer.errors import UserError
from mbtransfer.evaluation.task_selection import select_tasks
from mbtransfer.model import Model
from mbtransfer.runtime.progress import progress_bar
from mbtransfer.runtime.terminal import Terminal
from mbtransfer.task_file import load_task_file
from mbtransfer.tracking import Artifact, PrefixedTracker, Tracker, track
from mbtransfer.training.policy import PolicyProgress, PolicyTrainingConfig, prepare
from tasks.task import Task
from world_models.checkpoint.checkpoint import MANIFEST

PARTS = 200
"""Number of points of a curve, and of steps of the progress bar."""


def run_prepare(config: PrepareConfig, console: Terminal | None = None) -> dict[str, Any]:
    """Train a policy and a value function for each task, and store them in the model's folder.

    Raises:
        UserError, TaskError, ModelError: the input is wrong.
    """
    console = console or Terminal()
    model = Model.load(config.model, device=config.device, trust_code=config.trust_code)
    own = load_task_file(config.task_file, model.environment) if config.task_file else ()
    asked = select_tasks(model.environment, tasks=config.tasks, split=config.split, own=own)
    tasks = [task for task in asked if isinstance(task, Task)]
    if not tasks:
        raise UserError("no task to prepare for; name some with --tasks")
    with track("prepare", config, config.model) as tracker:
        tracker.uses(Artifact.of("model", config.model, config.model / MANIFEST))
        found = {
            task.name: _one(config, model, task, console, PrefixedTracker(tracker, task.name))
            for task in tasks
        }
        tracker.summary(found)
    console.say(f"evaluate and plan use it: mbtransfer evaluate --model {config.model}")
    return found


def _one(
    config: PrepareConfig, model: Model, task: Task, console: Terminal, tracker: Tracker
) -> dict[str, Any]:
    shown = 0
    with progress_bar(console, f"preparing {task.name}", PARTS, "parts") as advance:

        def report(progress: PolicyProgress) -> None:
            nonlocal shown
            now = min(PARTS, round(PARTS * progress.share))
            if now > shown:
                tracker.log({"reward": progress.reward}, "updates", progress.updates)
                advance(now - shown)
                shown = now

        prepared = prepare(
            model,
            task,
            config.seconds,
            updates=config.updates,
            labels=config.labels,
            config=PolicyTrainingConfig(uncertainty_penalty=config.uncertainty_penalty),
            method=config.method,
            seed=config.seed,
            report=report,
        )
    path, notes = prepared.save(config.model), prepared.notes
    tracker.makes(Artifact.of("model", path, path))
    of = "the pool's reward" if config.method == "pool" else "imagined reward"
    work = "rounds" if config.method == "planner" else "updates"
    console.say(
        f"{task.name}: {notes['updates']:,} {work} in {notes['seconds']:.0f} s, {of} "
        f"{notes['imagined']:.3f} per control step; wrote {path}",
    )  # fmt: skip
    return notes
