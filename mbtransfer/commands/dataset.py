"""`mbtransfer dataset info`: what a dataset holds."""

import warnings
from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mbtransfer.atomic import write_json
from mbtransfer.commands.look import print_look
from mbtransfer.config import DatasetInfoConfig
from mbtransfer.dataset import DamagedShardWarning, Dataset
from mbtransfer.errors import UserError
from mbtransfer.evaluate import check_writable
from mbtransfer.survey import draw, look

PICTURES = (".png", ".svg")

_HIDDEN = ("_velocity", "hand_")
"""Columns that are in the JSON but would hide the fixtures in a table."""


def run_dataset(config: DatasetInfoConfig) -> None:
    """Print what a dataset holds, and which shards are damaged; write and draw it if asked to.

    Raises:
        UserError: there is no dataset, or a file cannot be written.
    """
    check_writable(config.json, config.plot)
    if config.plot is not None and config.plot.suffix not in PICTURES:
        raise UserError(f"--plot needs a file that ends with {' or '.join(PICTURES)}, not {config.plot}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedShardWarning)  # the table says it
        dataset = Dataset.open(config.dir)
    seen, header, console = look(dataset), dataset.header, Console()
    if config.plot and seen.sample is None:
        raise UserError(f"{config.dir} holds no episodes to draw")
    if config.json:
        write_json(config.json, seen.found)
    print_dataset(seen.found, str(config.dir), console)
    if config.plot:
        draw(seen, (header.observation, header.action), str(config.dir), config.plot)
        console.print(f"picture: {config.plot}", highlight=False, soft_wrap=True, markup=False)


def print_dataset(found: Mapping[str, Any], name: str, console: Console) -> None:
    """Print what `Dataset.info` or `look` gives: behaviours, coverage, what else was looked at, damage."""
    size = found["bytes"] / 1e6
    counts = f"{found['steps']:,} control steps in {found['episodes']:,} episodes"
    console.print(Text.assemble((name, "bold"), f": {found['env']}, {counts}, {size:,.1f} MB"))
    if found["episodes"]:
        console.print(_behaviours(found["behaviours"], found["steps"]))
        console.print(_coverage(found["observation"]))
        print_look(found, console)
    if found["diverged"]:
        line = f"{found['diverged']:,} episodes ended early because their simulation diverged"
        console.print(line, highlight=False, soft_wrap=True, style="yellow")
    for damage in found["damaged"]:
        console.print(Text(f"damaged and left out: {damage['name']}: {damage['reason']}", style="red"))


def _behaviours(found: Mapping[str, Mapping[str, int]], steps: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("behaviour", style="bold")
    for heading in ("episodes", "steps", "share"):
        table.add_column(heading, justify="right")
    for name, counts in found.items():
        share = f"{100 * counts['steps'] / max(steps, 1):.0f}%"
        table.add_row(Text(name), f"{counts['episodes']:,}", f"{counts['steps']:,}", share)
    return table


def _coverage(columns: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("column", style="bold")
    table.add_column("range seen", justify="right")
    table.add_column("")
    table.add_column("of its range", justify="right")
    for name, column in columns.items():
        if column["coverage"] is None or any(part in name for part in _HIDDEN):
            continue
        full = round(20 * column["coverage"])
        bar = Text("█" * full, style="green" if full >= 16 else "yellow").append(
            "░" * (20 - full), style="dim"
        )
        seen = f"{column['min']:.2f} to {column['max']:.2f} {column['unit']}"
        table.add_row(Text(name), seen, bar, f"{100 * column['coverage']:.0f}%")
    return table
