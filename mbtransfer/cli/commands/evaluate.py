"""`mbtransfer evaluate`: success on tasks and recipes, with confidence intervals."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

from mbtransfer.config import EvaluateConfig
from mbtransfer.diagnostics.label_warnings import warn_of_labels
from mbtransfer.errors import UserError
from mbtransfer.evaluation.clock import clock_note, with_clock
from mbtransfer.evaluation.config import WITHOUT_SIMULATOR, EvalConfig
from mbtransfer.evaluation.evaluate import evaluate_runs, summary_of
from mbtransfer.evaluation.parallel import make_runs
from mbtransfer.evaluation.results_store import continued
from mbtransfer.evaluation.task_selection import select_tasks
from mbtransfer.labels.labelled_task import LabelledTask
from mbtransfer.report.terminal import print_table
from mbtransfer.runtime.executors import make_engine
from mbtransfer.runtime.files import check_writable, output_lock, write_json
from mbtransfer.runtime.terminal import Terminal
from mbtransfer.tracking import Artifact, Tracker, track
from world_models.checkpoint.checkpoint import MANIFEST


def run_evaluate(config: EvaluateConfig, console: Terminal | None = None) -> dict[str, Any]:
    """Evaluate the requested tasks and recipes, print a table, and write rows and JSON if requested.

    Args:
        config: the command's flags.
        console: where the progress bar and the table go; standard output by default.

    Returns:
        The content of the `--json` file.

    Raises:
        UserError, TaskError, ModelError, PlannerError: the input is wrong; raised before the first episode wherever
            possible.
    """
    console = console or Terminal()
    check_writable(config.json, config.rows)
    context = continued(EvalConfig.from_flags(config), config.rows).resolve()
    context.environment.need_simulator("evaluate", WITHOUT_SIMULATOR)
    tasks = select_tasks(
        context.environment,
        tasks=config.tasks,
        recipes=config.recipes,
        split=config.split,
        own=context.own_tasks,
    )
    context = context.decide_reward(tasks)
    warn_of_labels(context.model, tasks, learned=context.config.reward == "learned")
    if config.reward in (None, "auto") and config.task_file:
        console.say(context.reward_note())
    for task in tasks:
        if isinstance(task, LabelledTask):
            console.say(f"{task.name}: {task.description}")
    context = with_clock(context, config, tasks)
    runs = make_runs(tasks, config.seeds, config.episodes, context.own_tasks)
    if not runs:
        raise UserError("nothing to evaluate: give at least one seed and a task or recipe")
    executor = make_engine(config.engine, config.workers, config.address)
    writing = output_lock(config.rows, folder=False) if config.rows else nullcontext()
    with writing, track("evaluate", config, config.rows or config.json) as tracker:
        if context.model and config.model:
            tracker.uses(Artifact.of("model", config.model, config.model / MANIFEST))
        frame = evaluate_runs(
            context,
            runs,
            workers=executor,
            rows=config.rows,
            console=console,
            tracker=tracker,
        )
        for note in filter(None, (context.planner_note(), clock_note(context))):
            console.say(note)
        summary = summary_of(context, frame, runs)
        print_table(summary, console)
        if config.json is not None:
            write_json(config.json, summary)
        _keep(tracker, summary, config.rows)
    return summary


def _keep(tracker: Tracker, summary: dict[str, Any], rows: Path | None) -> None:
    tracker.table("tasks", summary["tasks"])
    tracker.summary(summary)
    if rows is not None:
        tracker.makes(Artifact.of("evaluation", rows, rows))
