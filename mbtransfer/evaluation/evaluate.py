"""Evaluation of many tasks and recipes in parallel, with resumable results."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from mbtransfer.evaluation.config import EvalConfig, EvalContext
from mbtransfer.evaluation.episodes import decision_latency
from mbtransfer.evaluation.parallel import Run, do_runs, what
from mbtransfer.evaluation.results import EpisodeResult, append_rows
from mbtransfer.evaluation.results_store import ResultsStore, continued
from mbtransfer.evaluation.statistics import summarise
from mbtransfer.runtime.environment import threads, versions
from mbtransfer.runtime.executors import Executor
from mbtransfer.runtime.progress import progress_bar
from mbtransfer.runtime.terminal import Terminal
from mbtransfer.tracking import NULL_TRACKER, Tracker


def evaluate_runs(
    config: EvalConfig | EvalContext,
    runs: Sequence[Run],
    *,
    workers: int | Executor = 1,
    rows: Path | None = None,
    console: Terminal | None = None,
    tracker: Tracker = NULL_TRACKER,
) -> pd.DataFrame:
    """Do those runs that `rows` lacks, and return the rows of all runs as `read_rows` does.

    Args:
        config: how episodes are run; settings with `precision="auto"` take the precision of existing rows.
        runs: what to do; see `make_runs`.
        workers: number of processes, or an executor; apart from decision times the rows do not depend on it.
        rows: file to which the rows of each run are appended when it is finished.
        console: where a progress bar is drawn, if it is a terminal.
        tracker: receives the success rate so far, over episodes.

    Raises:
        UserError: the file holds rows of these runs made with other settings, or cannot be written.
    """
    context = config if isinstance(config, EvalContext) else continued(config, rows).resolve()
    context = context.decide_reward([what(context, run) for run in runs])
    store = ResultsStore(rows, context) if rows is not None else None
    missing = store.missing(runs) if store else list(runs)
    if store:
        store.begin(missing)
    done: list[EpisodeResult] = []
    total, left = (sum(run.episodes for run in some) for some in (runs, missing))
    console = console or Terminal()
    if left < total:
        console.say(f"{total - left} of {total} episodes are in {rows} and are kept")
    with progress_bar(console, "evaluating", total, "episodes", total - left) as advance:
        for _, results in do_runs(context, missing, workers, lambda run: advance(run.episodes)):
            if rows is not None:
                append_rows(rows, results)
            done += results
            success = sum(result.success for result in done) / len(done)
            tracker.log({"success": success}, "episodes", total - left + len(done))
    return store.rows(runs) if store else as_frame(done)


def summary_of(context: EvalContext, frame: pd.DataFrame, runs: Sequence[Run]) -> dict[str, Any]:
    """The content of `--json`: `tasks`, `splits`, `decisions`, `diverged`, `plan_ms` and `settings`."""
    with threads(context.config.threads):
        latency = decision_latency(context.controller, what(context, runs[0]))
    summary = summarise(frame)
    told = {name: summary[name] for name in ("tasks", "splits", "decisions", "diverged")}
    return told | {"plan_ms": latency, "settings": _settings(context, runs)}


def as_frame(results: Sequence[EpisodeResult]) -> pd.DataFrame:
    """Rows in the format of `read_rows`."""
    frame = pd.DataFrame([asdict(result) for result in results])
    return frame.astype({"steps_to_success": "float64"}) if len(frame) else frame


def _settings(context: EvalContext, runs: Sequence[Run]) -> dict[str, Any]:
    config = context.config
    return context.described() | {
        "model": config.model if config.needs_model else None,
        "task_file": config.task_file,
        "device": config.device,
        "threads": config.threads,
        "episodes": runs[0].episodes,
        "seeds": list(dict.fromkeys(run.seed for run in runs)),
        "versions": versions(),
    }
