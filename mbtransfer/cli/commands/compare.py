"""`mbtransfer compare`: what is best carried from old tasks to new ones, and at which cost."""

import hashlib
from dataclasses import asdict
from typing import Any

import pandas as pd

from mbtransfer.config import CompareConfig
from mbtransfer.errors import UserError
from mbtransfer.evaluation.config import WITHOUT_SIMULATOR
from mbtransfer.evaluation.task_selection import find_task
from mbtransfer.model import Model
from mbtransfer.runtime.environment import threads
from mbtransfer.runtime.files import output_lock, write_json, write_text
from mbtransfer.runtime.progress import progress_bar
from mbtransfer.runtime.spreadsheet import as_cell
from mbtransfer.runtime.terminal import Terminal
from mbtransfer.tracking import Artifact, track
from mbtransfer.transfer.compare import Comparison, compare
from mbtransfer.transfer.registry import choose_methods, load_method_file
from mbtransfer.transfer.runs import RunStore, TransferRun
from mbtransfer.transfer.summary import markdown, plot, summarise, tables
from world_models.checkpoint.checkpoint import MANIFEST


def run_compare(config: CompareConfig, console: Terminal | None = None) -> list[dict[str, Any]]:
    """Compare transfer methods, print a table, and write runs, table and picture.

    Returns:
        The content of `summary.json`: one entry per method.

    Raises:
        UserError, TaskError, ModelError: the input is wrong; raised before anything is trained.
    """
    console = console or Terminal()
    asked = _comparison(config, console)
    count = len(asked.methods) * len(asked.targets) * len(asked.seeds)
    with (
        output_lock(config.out),
        threads(config.threads or 1),
        track("compare", config, config.out) as tracker,
    ):
        tracker.uses(Artifact.of("model", config.model, config.model / MANIFEST))
        with progress_bar(console, "comparing", count, "runs") as advance:
            runs = compare(asked, RunStore(config.out), lambda run: advance(1))
        summary = summarise(runs)
        write_text(config.out / "runs.csv", _csv(runs))
        write_json(config.out / "summary.json", summary)
        write_text(config.out / "table.md", markdown(summary))
        plot(summary, config.out / "success-against-time.png")
        tracker.table("methods", summary)
    for table in tables(summary):
        console.print(table)
    for entry in summary:
        for failure in entry["failed"]:
            console.say(f"{entry['method']} failed: {failure}")
    console.say(f"wrote {config.out}")
    return summary


def _comparison(config: CompareConfig, console: Terminal) -> Comparison:
    """What is asked for; says what cannot be run in the environment."""
    model = Model.load(config.model, device=config.device, trust_code=config.trust_code)
    environment = model.environment
    environment.need_simulator("compare", WITHOUT_SIMULATOR)
    own = load_method_file(config.method_file, environment) if config.method_file else []
    methods = []
    for method in choose_methods(config.methods, own):
        if lacking := method.lacks(environment):
            console.say(f"{method.name} is left out: {environment.spec.name} lacks {lacking}")
        else:
            methods.append(method)
    held_out = [task.name for task in environment.tasks.values() if task.split == "held_out"]
    names = dict.fromkeys(config.targets or held_out)
    if not names or not config.seeds:
        raise UserError("nothing to compare: give at least one seed and target")
    code = hashlib.sha256(config.method_file.read_bytes()).hexdigest()[:16] if config.method_file else ""
    return Comparison(
        model, methods, [find_task(environment, name) for name in names], model.label_count(config.labels),
        tuple(dict.fromkeys(config.seeds)), config.episodes, config.practice,
        {method.name: code for method in own},
    )  # fmt: skip


def _csv(runs: list[TransferRun]) -> str:
    """One line per run."""
    rows = []
    for run in runs:
        row = asdict(run)
        costs, success, returns = row.pop("costs"), row.pop("success"), row.pop("returns")
        del row["settings"]
        means = {
            f"{name}_mean": sum(values) / len(values) if values else None
            for name, values in (("success", success), ("return", returns))
        }
        rows.append(row | costs | {"episodes": len(success)} | means)
    return pd.DataFrame(rows).map(as_cell).to_csv(index=False)
