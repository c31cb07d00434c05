"""`mbtransfer dataset`: describe, import, export and ablate datasets."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from mbtransfer.config import DatasetExportConfig, DatasetImportConfig, DatasetInfoConfig, DatasetStripConfig
from mbtransfer.data import DamagedShardWarning, Dataset
from mbtransfer.data.ablate import strip
from mbtransfer.data.formats import export_minari, find_source
from mbtransfer.data.formats.find import LEROBOT, MINARI
from mbtransfer.data.formats.importer import take_in
from mbtransfer.data.formats.lerobot_export import export_lerobot
from mbtransfer.data.formats.logs import LogNotes
from mbtransfer.data.header import keep_declaration
from mbtransfer.data.plot import plot_dataset
from mbtransfer.data.summary import describe_dataset
from mbtransfer.errors import UserError
from mbtransfer.report.terminal import DASH
from mbtransfer.runtime.files import check_writable, write_json
from mbtransfer.runtime.terminal import Terminal, styled
from tasks.registry import make_recorded

PICTURES = (".png", ".svg")

_HIDDEN = ("_velocity", "hand_")
"""Parts of names of columns that are left out of the table, where they would hide the fixtures; the JSON has them."""


def run_info(config: DatasetInfoConfig) -> None:
    """Print a description of a dataset and its damaged shards; write JSON and a plot if requested.

    Raises:
        UserError: there is no dataset, or a file cannot be written.
    """
    check_writable(config.json, config.plot)
    if config.plot is not None and config.plot.suffix not in PICTURES:
        raise UserError(f"--plot needs a file that ends with {' or '.join(PICTURES)}, not {config.plot}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedShardWarning)  # reported in the table
        dataset = Dataset.open(config.dir)
    seen, header, console = (
        describe_dataset(dataset, trust_code=config.trust_code),
        dataset.header,
        Terminal(),
    )
    if config.plot and seen.sample is None:
        raise UserError(f"{config.dir} holds no episodes to draw")
    if config.json:
        write_json(config.json, seen.found)
    print_dataset(seen.found, str(config.dir), console)
    if config.plot:
        plot_dataset(seen, (header.observation, header.action), str(config.dir), config.plot)
        console.say(f"picture: {config.plot}")


def print_dataset(found: Mapping[str, Any], name: str, console: Terminal) -> None:
    """Print what `Dataset.info` or `describe_dataset` returns: behaviours, coverage, fixtures, rewards and damage."""
    size = found["bytes"] / 1e6
    counts = f"{found['steps']:,} control steps in {found['episodes']:,} episodes"
    console.print(styled((name, "bold"), f": {found['env']}, {counts}, {size:,.1f} MB"))
    if found["episodes"]:
        console.print(_behaviours(found["behaviours"], found["steps"]))
        console.print(_coverage(found["observation"]))
        print_look(found, console)
    if found["diverged"]:
        line = f"{found['diverged']:,} episodes ended early because their simulation diverged"
        console.say(line, style="yellow")
    for damage in found["damaged"]:
        console.print(styled((f"damaged and left out: {damage['name']}: {damage['reason']}", "red")))


def _behaviours(found: Mapping[str, Mapping[str, int]], steps: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("behaviour", style="bold")
    for heading in ("episodes", "steps", "share"):
        table.add_column(heading, justify="right")
    for name, counts in found.items():
        share = f"{100 * counts['steps'] / max(steps, 1):.0f}%"
        table.add_row(name, f"{counts['episodes']:,}", f"{counts['steps']:,}", share)
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
        bar = styled(("█" * full, "green" if full >= 16 else "yellow"), ("░" * (20 - full), "dim"))
        seen = f"{column['min']:.2f} to {column['max']:.2f} {column['unit']}"
        table.add_row(name, seen, bar, f"{100 * column['coverage']:.0f}%")
    return table


SPARKS = "▁▂▃▄▅▆▇█"


def print_look(found: Mapping[str, Any], console: Terminal) -> None:
    """Print what `mbtransfer.data.summary.describe_dataset` adds to the description of a dataset, if it is there."""
    if found.get("fixtures"):
        console.print(_fixtures(found["fixtures"]))
    if found.get("rewards"):
        console.print(_rewards(found["rewards"]))
    if found.get("paid"):
        paid = found["paid"]
        line = f"rewards that came with {paid['episodes']:,} episodes: {paid['mean']:.3g} per control step, "
        console.say(
            f"{line}highest {paid['max']:.3g}, mean return {paid['return_mean']:.3g}",
        )  # fmt: skip
    for line in _log_lines(found):
        console.say(line)
    if 0 < found.get("sample", 0) < found["steps"]:
        what = f"quantiles and rewards are those of a sample of {found['sample']:,} control steps"
        console.say(what, style="dim")


def _log_lines(found: Mapping[str, Any]) -> list[str]:
    """What may be wrong with the logs that a dataset was made of, and how late actions show."""
    lines = [line for notes in found.get("logs", ()) for line in LogNotes(**notes).lines()]
    quality = found.get("quality") or {}
    if delays := quality.get("delays"):
        steps = sorted(one["steps"] for one in delays)
        worst = max(delays, key=lambda one: one["steps"])
        range_ = f"{steps[0]}" if steps[0] == steps[-1] else f"{steps[0]} to {steps[-1]}"
        lines.append(
            f"delay: actions show after {range_} control steps (cross-correlation; "
            f"{worst['action']} in {worst['column']} after {worst['steps']}, {worst['correlation']:+.2f})"
        )
    if spikes := quality.get("spikes"):
        shown = ", ".join(f"{name} {count:,}" for name, count in spikes.items())
        lines.append(f"spikes, values that jump far and back at once: {shown}")
    if constant := quality.get("constant"):
        lines.append(f"never change: {', '.join(constant)}")
    return lines + [f"unit: {line}" for line in quality.get("units", ())]


def _fixtures(fixtures: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table("fixture", "where in its range it moved", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("share of range", "share of steps"):
        table.add_column(heading, justify="right")
    for name, fixture in fixtures.items():
        shares = f"{100 * fixture['range_moved']:.0f}%", f"{100 * fixture['moved']:.1f}%"
        table.add_row(styled((name, "bold")), styled((_sparks(fixture["parts"]), "green")), *shares)
    return table


def _rewards(rewards: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table("task", "split", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("mean reward", "highest", "success"):
        table.add_column(heading, justify="right")
    for name, task in rewards.items():
        success = DASH if task["success"] is None else f"{100 * task['success']:.1f}%"
        numbers = f"{task['mean']:.2f}", f"{task['max']:.2f}", success
        table.add_row(styled((name, "bold")), task["split"], *numbers)
    return table


def _sparks(counts: Sequence[int]) -> str:
    """Bars on a square-root scale, so that rare movements are visible; a space stands for none."""
    highest = max([*counts, 1])
    level = np.ceil(np.sqrt(np.array(counts) / highest) * len(SPARKS)).astype(int)
    return "".join(SPARKS[i - 1] if i else " " for i in level)


def run_import(config: DatasetImportConfig) -> None:
    """Append the episodes of a source to a dataset, and print how many there were.

    Raises:
        UserError: a source that cannot be read or does not fit; nothing is written then.
    """
    source = find_source(config.source, config.keys, mapping=config.mapping, env=config.env)
    taken = take_in(source, config.out, config.env, config.control_dt)
    before = f"; {taken.before:,} were there before" if taken.before else ""
    header = taken.dataset.header
    sizes = f"{len(header.observation)} observation, {len(header.action)} action"
    _say(f"imported {taken.episodes:,} episodes with {taken.steps:,} control steps{before}")
    _say(f"{config.out}: {header.env}, {sizes} columns, {header.state_size} state values")
    for line in source.notes.lines() if source.notes else ():
        _say(line)
    _say(f"next: mbtransfer dataset info {config.out}")


def run_export(config: DatasetExportConfig) -> None:
    """Write a dataset in Minari's or LeRobot's format, and print where it is.

    Raises:
        UserError: no dataset, another kind of target, or a name that is taken.
    """
    family, _, name = config.target.partition(":")
    if f"{family}:" not in (MINARI, LEROBOT) or not name:
        raise UserError(f"cannot export to {config.target!r}; give {MINARI}NAME-vN or {LEROBOT}FOLDER")
    dataset = Dataset.open(config.dir)
    folder = export_minari(dataset, name) if f"{family}:" == MINARI else export_lerobot(dataset, Path(name))
    _say(f"exported {len(dataset):,} episodes with {dataset.steps:,} control steps to {folder}")


def _say(line: str) -> None:
    Terminal().say(line)


def run_strip(config: DatasetStripConfig) -> None:
    """Write the copy, and print how much was left out.

    Raises:
        UserError: no fixtures named, a task that names no fixture, no dataset, or a folder that holds something else.
        TaskError: an unknown fixture or task.
    """
    dataset = Dataset.open(config.dir)
    environment = make_recorded(dataset.header.env, str(config.dir), trust_code=config.trust_code)
    fixtures = [environment.spec.fixture(name) for name in config.fixtures]
    for name in config.tasks:
        moved = environment.task(name).fixtures
        if not moved:
            raise UserError(f"task {name} names no fixture that it moves; give --fixtures")
        fixtures += moved
    if not fixtures:
        raise UserError("nothing to strip; name fixtures that must not move with --fixtures or --tasks")
    if config.out.resolve() == config.dir.resolve():
        raise UserError(f"--out {config.out} is the dataset itself; give another folder")
    copy = Dataset.open_or_create(config.out, dataset.header)
    keep_declaration(config.out, environment)
    left_out = strip(dataset.pool, fixtures, copy)
    names = ", ".join(dict.fromkeys(fixture.name for fixture in fixtures))
    Terminal().say(
        f"{config.out}: {copy.steps:,} of {dataset.steps:,} control steps; {left_out:,} in which {names} moved "
        "were left out",
    )  # fmt: skip
