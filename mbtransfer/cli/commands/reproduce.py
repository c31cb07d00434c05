"""`mbtransfer reproduce`: run a published protocol and print its table."""

from dataclasses import fields
from pathlib import Path
from typing import Any

from rich.markdown import Markdown

from mbtransfer.config import ReproduceConfig, TrackerFlags
from mbtransfer.errors import UserError
from mbtransfer.protocols import Protocol, as_markdown, read_protocol, run_seed
from mbtransfer.runtime.files import output_lock, write_text
from mbtransfer.runtime.terminal import Terminal

HOME = Path("runs/reproduce")


def run_reproduce(config: ReproduceConfig, console: Terminal | None = None) -> str:
    """Run what is missing, then print and write the table of results.

    Raises:
        UserError: no such protocol, or a folder with results of another one.
    """
    console, protocol = console or Terminal(), read_protocol(config.name, trust_code=config.trust_code)
    seeds = list(dict.fromkeys(config.seeds))
    if not seeds:
        raise UserError("nothing to run: give at least one seed")
    home = config.out or HOME / protocol.name
    tracking = _tracking(config, protocol)
    found = []
    for seed in seeds:
        folder = home / f"seed-{seed}"
        console.rule(f"{protocol.name}, seed {seed}")
        with output_lock(folder):
            found.append(run_seed(protocol, folder, seed, config.workers, console, tracking))
    text = as_markdown(protocol, found)
    target = config.table or home / "results.md"
    write_text(target, text)
    console.print(Markdown(text, hyperlinks=False))
    console.say(f"written to {target}")
    return text


def _tracking(config: ReproduceConfig, protocol: Protocol) -> dict[str, Any]:
    """The tracker's flags for the stages: each stage is a run of its own, all in one group."""
    if config.tracker == "none":
        return {}
    given = {field.name: getattr(config, field.name) for field in fields(TrackerFlags)}
    given["tracker_group"] = config.tracker_group or f"reproduce {protocol.name}"
    return {name: value for name, value in given.items() if value is not None}
