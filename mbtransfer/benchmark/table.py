"""The result of a protocol as a table, beside what others published."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mbtransfer import __version__
from mbtransfer.benchmark.protocol import Protocol
from mbtransfer.benchmark.run import LATER_SEED
from mbtransfer.rows import read_rows
from mbtransfer.statistics import mean_interval
from mbtransfer.units import PLANNING, parse_mix
from tasks.registry import make

COLUMN = {"return": "return_", "success": "success"}


def as_markdown(protocol: Protocol, folders: Sequence[Path], found: Sequence[Mapping[str, Any]]) -> str:
    """Means over seeds with 95% intervals, steps, labels, time, and the figures of others.

    Args:
        protocol: what was run.
        folders: of each seed.
        found: what `run_seed` gave for each.
    """
    ways = {way: _rows(way, folders) for way in protocol.evaluate}
    seeds = " ".join(str(seed - LATER_SEED) for seed in sorted(ways["learned"]["seed"].unique()))
    blank = "| " * len(protocol.tasks)
    lines = [
        f"# {protocol.name}", "", protocol.about, "", f"    mbtransfer benchmark {protocol.name} --seeds {seeds}", "",
        f"| | {' | '.join(protocol.tasks)} | mean |", "|---" * (len(protocol.tasks) + 2) + "|",
        *(_line(way, rows, protocol) for way, rows in ways.items()),
        *(f"| {one.what} ({one.source}) {blank}| {one.value:g} |" for one in protocol.published),
        "", _target(protocol), "", _basis(protocol, ways["learned"], found), "",
    ]  # fmt: skip
    return "\n".join(lines)


def _rows(way: str, folders: Sequence[Path]) -> pd.DataFrame:
    return pd.concat([read_rows(folder / "rows" / f"{way}.csv") for folder in folders], ignore_index=True)


def _line(way: str, rows: pd.DataFrame, protocol: Protocol) -> str:
    column = COLUMN[protocol.measure]
    cells = [_cell(rows[rows["task"] == task], column) for task in protocol.tasks]
    whole = rows.groupby(["seed", "episode"], as_index=False)[column].mean()
    return f"| {way} | {' | '.join(cells)} | {_cell(whole, column)} |"


def _cell(rows: pd.DataFrame, column: str) -> str:
    mean, (low, high) = mean_interval(rows, column)
    digits = 3 if column == "success" else 0
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _target(protocol: Protocol) -> str:
    asked = {"at least": protocol.least, "aim": protocol.aim}
    told = ", ".join(f"{name} {value:g}" for name, value in asked.items() if value is not None)
    return f"Target for the mean: {told}." if told else ""


def _basis(protocol: Protocol, learned: pd.DataFrame, found: Sequence[Mapping[str, Any]]) -> str:
    """What the numbers rest on."""
    count = len(found)
    episodes = len(learned) // (len(protocol.tasks) * count)
    over = "seeds" if count > 1 else "the episodes of the one seed"
    minutes = {kind: _mean(one["seconds"][kind] for one in found) / 60 for kind in found[0]["seconds"]}
    steps, labels = _mean(one["steps"] for one in found), int(learned["labels"].max())
    return (
        f"{count} seed{'s' if count > 1 else ''} of data, model and episodes, {episodes} episodes of each task; "
        f"intervals are a bootstrap over {over}. {steps:,.0f} control steps in the pool, {labels:,} relabelled "
        f"transitions behind each reward. {_sources(protocol)} Minutes for each seed: "
        f"{', '.join(f'{kind} {time:.1f}' for kind, time in minutes.items())}. mbtransfer {__version__}."
    )


def _sources(protocol: Protocol) -> str:
    """Which of the measured tasks data were collected for: these are no transfer."""
    sources = {name for name, task in make(protocol.env).tasks.items() if task.split == "source"}
    planned = [settings.get("tasks") or sources for settings in protocol.rounds if _plans(settings)]
    seen = [name for name in protocol.tasks if any(name in names for names in planned)]
    if not seen:
        return "No data were collected for the reward of a measured task."
    return f"Data were collected for the reward of {', '.join(seen)}; the other tasks were never asked for before."


def _plans(settings: Mapping[str, Any]) -> bool:
    mix = parse_mix(settings.get("behaviours", ("planner",)))
    return any(mix.get(name, 0) > 0 for name in PLANNING)


def _mean(values: Iterable[float]) -> float:
    return float(pd.Series(list(values)).mean())
