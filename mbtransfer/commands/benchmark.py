"""`mbtransfer benchmark`: a published protocol, seed by seed, and its table."""

from dataclasses import fields
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markdown import Markdown

from mbtransfer.alone import alone
from mbtransfer.atomic import write_text
from mbtransfer.benchmark import Protocol, as_markdown, read_protocol, run_seed
from mbtransfer.config import BenchmarkConfig, TrackerFlags
from mbtransfer.errors import UserError

HOME = Path("runs/benchmark")


def run_benchmark(config: BenchmarkConfig, console: Console | None = None) -> str:
    """Run what is missing, print the table and write it.

    Raises:
        UserError: no such protocol, or a folder with results of another one.
    """
    console, protocol = console or Console(), read_protocol(config.name)
    seeds = list(dict.fromkeys(config.seeds))
    if not seeds:
        raise UserError("nothing to run: give at least one seed")
    home = config.out or HOME / protocol.name
    tracking = _tracking(config, protocol)
    found = []
    for seed in seeds:
        folder = home / f"seed-{seed}"
        console.rule(f"{protocol.name}, seed {seed}")
        with alone(folder):
            found.append(run_seed(protocol, folder, seed, config.workers, console, tracking))
    text = as_markdown(protocol, found)
    target = config.table or home / "results.md"
    write_text(target, text)
    console.print(Markdown(text))
    console.print(f"written to {target}", highlight=False, soft_wrap=True)
    return text


def _tracking(config: BenchmarkConfig, protocol: Protocol) -> dict[str, Any]:
    """The tracker's flags for each stage: a run of its own, all in one group."""
    if config.tracker == "none":
        return {}
    given = {field.name: getattr(config, field.name) for field in fields(TrackerFlags)}
    given["tracker_group"] = config.tracker_group or f"benchmark {protocol.name}"
    return {name: value for name, value in given.items() if value is not None}
