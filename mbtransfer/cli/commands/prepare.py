"""`mbtransfer prepare`: train a policy and a value function for each task without environment steps."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mbtransfer.config import PrepareConfig
from mbtransfer.errors import UserError
from mbtransfer.evaluation.task_selection import select_tasks
from mbtransfer.model import Model
from mbtransfer.runtime.progress import progress_bar
from mbtransfer.runtime.terminal import Terminal
from mbtransfer.task_file import load_task_file
from mbtransfer.tracking import Artifact, PrefixedTracker, Tracker, track
from mbtransfer.training.policy import PolicyProgress, PolicyTrainingConfig, Report, prepare, prepare_commands
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
    if config.commands:
        return _commands(config, model, console)
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


def _commands(config: PrepareConfig, model: Model, console: Terminal) -> dict[str, Any]:
    """Train the policy for commands.

    Raises:
        UserError: something else is asked for too, or nothing can be commanded.
    """
    if config.tasks or config.split or config.task_file or config.uncertainty_penalty or config.labels:
        raise UserError(
            "--commands prepares for no task; leave out --tasks, --split, --task-file, --labels and "
            "--uncertainty-penalty"
        )
    if config.method != "imagination":
        raise UserError("--commands learns in imagination; leave out --method")
    with track("prepare", config, config.model) as tracker:
        tracker.uses(Artifact.of("model", config.model, config.model / MANIFEST))
        with _shown(console, "commands", tracker) as report:
            policy = prepare_commands(
                model, config.seconds, updates=config.updates, seed=config.seed, report=report
            )
        path, notes = policy.save(config.model), policy.notes
        tracker.makes(Artifact.of("model", path, path))
        tracker.summary({"commands": notes})
    names = [model.environment.spec.observation[column].name for column in policy.commands.columns]
    console.say(
        f"commands for {', '.join(names)}: {notes['updates']:,} updates in {notes['seconds']:.0f} s, followed by "
        f"{notes['imagined']:.0%} in imagination; wrote {path}"
    )
    console.say(f"practise: mbtransfer collect --model {config.model} --behaviours goals")
    return {"commands": notes}


@contextmanager
def _shown(console: Terminal, what: str, tracker: Tracker) -> Iterator[Report]:
    """A progress bar and a curve of the reward."""
    shown = 0
    with progress_bar(console, f"preparing {what}", PARTS, "parts") as advance:

        def report(progress: PolicyProgress) -> None:
            nonlocal shown
            now = min(PARTS, round(PARTS * progress.share))
            if now > shown:
                tracker.log({"reward": progress.reward}, "updates", progress.updates)
                advance(now - shown)
                shown = now

        yield report


def _one(
    config: PrepareConfig, model: Model, task: Task, console: Terminal, tracker: Tracker
) -> dict[str, Any]:
    with _shown(console, task.name, tracker) as report:
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
