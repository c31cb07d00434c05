"""`mbtransfer compare`: what is best carried from old tasks to new ones, and at which cost."""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict
from functools import lru_cache, partial
from typing import Any

import pandas as pd

from mbtransfer.config import CompareConfig
from mbtransfer.errors import UserError
from mbtransfer.evaluation.config import WITHOUT_SIMULATOR
from mbtransfer.evaluation.task_selection import find_task
from mbtransfer.model import Model
from mbtransfer.report import write_comparison
from mbtransfer.runtime.environment import threads, versions
from mbtransfer.runtime.executors import Executor, make_engine
from mbtransfer.runtime.files import output_lock, write_json, write_text
from mbtransfer.runtime.progress import progress_bar
from mbtransfer.runtime.spreadsheet import as_cell
from mbtransfer.runtime.terminal import Terminal
from mbtransfer.tracking import Artifact, track
from mbtransfer.transfer.comparison.budget import BUDGETS
from mbtransfer.transfer.comparison.compare import Comparison, Part, compare, do_part
from mbtransfer.transfer.comparison.runs import RunStore, TransferRun
from mbtransfer.transfer.comparison.summary import whole_summary
from mbtransfer.transfer.comparison.tables import gain_table, markdown, plot, tables
from mbtransfer.transfer.method import Method
from mbtransfer.transfer.registry import choose_methods, load_method_file
from mbtransfer.transfer.streams.stream_runs import TUNING, StreamRun, fit_for_streams, plays, stream
from mbtransfer.transfer.streams.task_stream import StreamConfig
from world_models.checkpoint.checkpoint import MANIFEST


def run_compare(config: CompareConfig, console: Terminal | None = None) -> dict[str, Any]:
    """Compare transfer methods, print tables, and write runs, tables, pictures and a page.

    Returns:
        The content of `summary.json`; see `whole_summary`.

    Raises:
        UserError, TaskError, ModelError: the input is wrong; raised before anything is trained.
    """
    console = console or Terminal()
    asked, left_out = _comparison(config)
    for line in left_out:
        console.say(line)
    executor = make_engine(config.engine, config.workers, config.address)
    if config.matrix:
        console.say(_price(asked))
    count = sum(len(part.targets) for part in asked.parts())
    with (
        output_lock(config.out),
        threads(config.threads or 1),
        track("compare", config, config.out) as tracker,
    ):
        tracker.uses(Artifact.of("model", config.model, config.model / MANIFEST))
        with progress_bar(console, "comparing", count, "runs") as advance:
            runs = compare(
                asked, RunStore(config.out), lambda run: advance(1), executor, partial(_do_part, config)
            )
        streams = list(_streams(config, asked, executor, console)) if config.matrix else []
        summary = whole_summary(runs, streams, _settings(config, asked, left_out), versions())
        write_text(config.out / "runs.csv", _csv(runs))
        write_json(config.out / "summary.json", summary)
        write_text(config.out / "table.md", markdown(summary["methods"]))
        plot(summary["methods"], config.out / "success-against-time.png")
        page = write_comparison(config.out)
        tracker.table("methods", summary["methods"])
    gain = summary["transfer_gain"]
    for table in (*tables(summary["methods"]), *([gain_table(gain)] if gain else [])):
        console.print(table)
    for failure in summary["failed"]:
        console.say(f"{failure['what']} failed: {failure['why']}")
    console.say(f"wrote {page}")
    return summary


def _comparison(config: CompareConfig) -> tuple[Comparison, list[str]]:
    """What is asked for, and a line for each method that cannot be run in the environment."""
    model = Model.load(config.model, device=config.device, trust_code=config.trust_code)
    environment, budget = model.environment, BUDGETS[config.budget]
    environment.need_simulator("compare", WITHOUT_SIMULATOR)
    own = load_method_file(config.method_file, environment) if config.method_file else []
    methods, left_out = list[Method[Any]](), list[str]()
    for method in budget.sized(choose_methods(config.methods, own)):
        if lacking := method.lacks(environment):
            left_out.append(f"{method.name} is left out: {environment.spec.name} lacks {lacking}")
        else:
            methods.append(method)
    held_out = [task.name for task in environment.tasks.values() if task.split == "held_out"]
    names = dict.fromkeys(config.targets or held_out)
    if not names:
        raise UserError("nothing to compare: give at least one target")
    most = model.label_count(None)
    labels = min(budget.labels or most, most) if config.labels is None else model.label_count(config.labels)
    code = hashlib.sha256(config.method_file.read_bytes()).hexdigest()[:16] if config.method_file else ""
    asked = Comparison(
        model, methods, [find_task(environment, name) for name in names], labels,
        tuple(dict.fromkeys(config.seeds or budget.seeds)), config.episodes or budget.episodes,
        tuple(sorted(set(config.practice or budget.practice))), {method.name: code for method in own}, config.matrix,
    )  # fmt: skip
    return asked, left_out


@lru_cache(maxsize=1)
def _known(config: CompareConfig) -> Comparison:
    """The comparison of this process, so that a worker makes it only once."""
    return _comparison(config)[0]


def _do_part(config: CompareConfig, part: Part) -> list[TransferRun]:
    with threads(config.threads or 1):
        return do_part(_known(config), RunStore(config.out), part)


def _streams(
    config: CompareConfig, asked: Comparison, executor: Executor, console: Terminal
) -> Iterator[StreamRun]:
    """The streams over those targets for which there can be one."""
    tasks = fit_for_streams(asked.targets)
    if len(tasks) < 2:
        console.say("no stream: it takes two targets that have a success and are judged by observations")
        return
    with progress_bar(console, "learning the targets in turn", len(TUNING), "streams") as advance:
        found = {}
        for tuning, run in executor.map(partial(_do_stream, config), list(TUNING)):
            found[tuning] = run
            advance(1)
    yield from (found[tuning] for tuning in TUNING)


def _do_stream(config: CompareConfig, tuning: str) -> StreamRun:
    asked = _known(config)
    settings = StreamConfig(labels=asked.labels, episodes=asked.episodes)
    with threads(config.threads or 1):
        return stream(
            asked.model, fit_for_streams(asked.targets), settings, tuning, asked.seeds[0], config.out
        )


def _price(asked: Comparison) -> str:
    """What the matrix costs, before it is paid."""
    blanks = [blank for part in asked.parts() for blank in asked.blanks(part)]
    more = sum(len(asked.others(blank)) for blank in blanks)
    streamed = len(fit_for_streams(asked.targets))
    streams = len(TUNING) * plays(streamed) if streamed > 1 else 0
    return (
        f"the matrix plays {more} times more than the {len(blanks)} runs alone, and the streams {streams} times "
        f"({asked.episodes} episodes each)"
    )


def _settings(config: CompareConfig, asked: Comparison, left_out: list[str]) -> dict[str, Any]:
    """What the page tells of how it was made."""
    return {
        "env": asked.model.environment.spec.name, "model": asked.model.digest, "labels": asked.labels,
        "episodes": asked.episodes, "seeds": list(asked.seeds), "practice": list(asked.practice),
        "budget": config.budget or "none", "targets": [target.name for target in asked.targets],
        "methods": {method.name: repr(method) for method in asked.methods}, "left_out": left_out,
    }  # fmt: skip


def _csv(runs: list[TransferRun]) -> str:
    """One line per run."""
    rows = []
    for run in runs:
        row = asdict(run)
        costs, success, returns = row.pop("costs"), row.pop("success"), row.pop("returns")
        del row["settings"], row["elsewhere"]
        means = {
            f"{name}_mean": sum(values) / len(values) if values else None
            for name, values in (("success", success), ("return", returns))
        }
        rows.append(row | costs | {"episodes": len(success)} | means)
    return pd.DataFrame(rows).map(as_cell).to_csv(index=False)
