"""`mbtransfer evaluate`: success on tasks and recipes, with intervals; rows and a summary for scripts."""

import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from mbtransfer.alone import alone
from mbtransfer.atomic import write_json
from mbtransfer.config import DecisionFlags, EvaluateConfig
from mbtransfer.engines import Engine, make_engine
from mbtransfer.errors import UserError
from mbtransfer.evaluation.asked import find_asked
from mbtransfer.evaluation.latency import decision_latency
from mbtransfer.evaluation.ledger import Ledger
from mbtransfer.evaluation.runs import Run, do_runs, make_runs, what
from mbtransfer.evaluation.setup import Setup
from mbtransfer.progress import progress_bar
from mbtransfer.report.terminal import print_table
from mbtransfer.rows import EpisodeResult, append_rows
from mbtransfer.statistics import summarise
from mbtransfer.threads import threads
from mbtransfer.tracking import SILENT, Artifact, Tracker, track
from mbtransfer.versions import versions
from world_models.checkpoint import MANIFEST


def run_evaluate(config: EvaluateConfig, console: Console | None = None) -> dict[str, Any]:
    """Evaluate what is asked for, show a table, write rows and JSON where wanted.

    Args:
        config: the command's flags.
        console: where bar and table go; standard output by default.

    Returns:
        What `--json` writes.

    Raises:
        UserError, TaskError, ModelError, PlannerError: anything that is wrong with the input; before the
            first episode wherever possible.
    """
    console = console or Console()
    setup = setup_of(config)
    check_writable(config.json, config.rows)
    setup.pilot()
    own = setup.own_tasks()
    asked = find_asked(
        setup.environment(), tasks=config.tasks, recipes=config.recipes, split=config.split, own=own
    )
    runs = make_runs(asked, config.seeds, config.episodes)
    if not runs:
        raise UserError("nothing to evaluate: give at least one seed and a task or recipe")
    engine = make_engine(config.engine, config.workers, config.address)
    writing = alone(config.rows, folder=False) if config.rows else nullcontext()
    with writing, track("evaluate", config, config.rows or config.json) as tracker:
        if setup.needs_model and config.model:
            tracker.uses(Artifact.of("model", config.model, config.model / MANIFEST))
        frame = evaluate_runs(
            setup,
            runs,
            workers=engine,
            rows=config.rows,
            console=console,
            tracker=tracker,
        )
        summary = summary_of(setup, frame, runs)
        print_table(summary, console)
        if config.json is not None:
            write_json(config.json, summary)
        _keep(tracker, summary, config.rows)
    return summary


def evaluate_runs(
    setup: Setup,
    runs: Sequence[Run],
    *,
    workers: int | Engine = 1,
    rows: Path | None = None,
    console: Console | None = None,
    tracker: Tracker = SILENT,
) -> pd.DataFrame:
    """Do the runs (those that `rows` lacks) and give the rows of all of them, as `read_rows` would.

    Args:
        setup: how episodes are run.
        runs: what to do; see `make_runs`.
        workers: processes, or an engine; the rows are the same for any number, but for the time a decision took.
        rows: file to which the rows of each run are appended as it is finished.
        console: where a bar is drawn, if it is a terminal.
        tracker: is told the success so far, over episodes.

    Raises:
        UserError: the file holds rows of these runs made with other settings, or cannot be written.
    """
    setup = setup.settled()
    ledger = Ledger(rows, setup) if rows is not None else None
    missing = ledger.missing(runs) if ledger else list(runs)
    if ledger:
        ledger.begin(missing)
    done: list[EpisodeResult] = []
    total, left = (sum(run.episodes for run in some) for some in (runs, missing))
    console = console or Console()
    if left < total:
        console.print(f"{total - left} of {total} episodes are in {rows} and are kept", highlight=False)
    with progress_bar(console, "evaluating", total, "episodes", total - left) as advance:
        for _, results in do_runs(setup, missing, workers, lambda run: advance(run.episodes)):
            if rows is not None:
                append_rows(rows, results)
            done += results
            success = sum(result.success for result in done) / len(done)
            tracker.log({"success": success}, "episodes", total - left + len(done))
    return ledger.rows(runs) if ledger else as_frame(done)


def summary_of(setup: Setup, frame: pd.DataFrame, runs: Sequence[Run]) -> dict[str, Any]:
    """What `--json` writes: `tasks`, `splits`, `decisions`, `diverged`, `plan_ms` and `settings`."""
    with threads(setup.threads):
        latency = decision_latency(setup.pilot(), what(setup, runs[0]))
    summary = summarise(frame)
    told = {name: summary[name] for name in ("tasks", "splits", "decisions", "diverged")}
    return told | {"plan_ms": latency, "settings": _settings(setup, runs)}


def _keep(tracker: Tracker, summary: dict[str, Any], rows: Path | None) -> None:
    tracker.table("tasks", summary["tasks"])
    tracker.summary(summary)
    if rows is not None:
        tracker.makes(Artifact.of("evaluation", rows, rows))


def as_frame(results: Sequence[EpisodeResult]) -> pd.DataFrame:
    """Rows as `read_rows` gives them."""
    frame = pd.DataFrame([asdict(result) for result in results])
    return frame.astype({"steps_to_success": "float64"}) if len(frame) else frame


def setup_of(config: Any) -> Setup:
    """The settings of episodes among the flags of a command.

    Raises:
        UserError: a model is needed but not given.
    """
    return Setup(
        env=config.env, model=None if config.model is None else str(config.model), dynamics=config.dynamics,
        reward=config.reward, labels=config.labels,
        task_file=None if config.task_file is None else str(config.task_file), device=config.device,
        threads=config.threads or 1,
        **{flag.name: getattr(config, flag.name) for flag in fields(DecisionFlags)},
    )  # fmt: skip


def check_writable(*paths: Path | None) -> None:
    """See to it that results can be written before hours are spent on them.

    Raises:
        UserError: a path is a folder, or its folder cannot be made or written.
    """
    for path in paths:
        if path is None:
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}") from error
        if path.is_dir():
            raise UserError(f"cannot write {path}: it is a folder; name a file")
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise UserError(f"cannot write {path}: permission denied")


def _settings(setup: Setup, runs: Sequence[Run]) -> dict[str, Any]:
    return setup.described() | {
        "model": setup.model if setup.needs_model else None,
        "task_file": setup.task_file,
        "device": setup.device,
        "threads": setup.threads,
        "episodes": runs[0].episodes,
        "seeds": list(dict.fromkeys(run.seed for run in runs)),
        "versions": versions(),
    }
