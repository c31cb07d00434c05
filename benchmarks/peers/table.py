"""From durations to numbers, and from numbers to a table."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.peers.check import Checked
from benchmarks.peers.entry import Entry
from benchmarks.peers.ours import PRECISIONS
from benchmarks.peers.roster import OURS


def summarise(
    entries: list[Entry], checked: dict[str, Checked], durations: dict[str, NDArray[np.float64]], steps: int
) -> list[dict[str, Any]]:
    """One row for each entry; speeds are model steps per second, ratios medians of the rounds' ratios.

    Args:
        entries: who took part.
        checked: what was found out about each, by name.
        durations: seconds of each decision, by name; those at one index were taken in one round.
        steps: model steps of a decision.
    """
    rows = []
    for entry in entries:
        taken = durations[entry.name]
        low, median, high = np.quantile(steps / taken, (0.25, 0.5, 0.75))
        ours = {
            e.precision: durations[e.name] for e in entries if (e.package, e.search) == (OURS, entry.search)
        }
        rows.append({
            "search": entry.search, "package": entry.package, "precision": entry.precision,
            "decisions": len(taken), "milliseconds": 1e3 * float(np.median(taken)),
            "steps_per_second": {"q1": float(low), "median": float(median), "q3": float(high)},
            "ours_over_it": {name: float(np.median(taken / own)) for name, own in ours.items()},
            "prediction_error": checked[entry.name].error, "gain_over_doing_nothing": checked[entry.name].gain,
        })  # fmt: skip
    return sorted(rows, key=lambda row: row["search"])


def show(found: dict[str, Any], console: Console) -> None:
    """Print the rows, and below them what they were measured on."""
    machine, versions = found["machine"], found["versions"]
    table = Table(
        title=f"{found['sizes']['model_steps']:,} model steps a decision, {machine['threads']} thread(s)",
        caption="thousands of model steps per second; gain: return above that of doing nothing; last three: how "
        "many times faster our planner of the same search is in that precision",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for i, heading in enumerate(
        ("search", "package", "computes in", "1000/s", "quartiles", "gain", *PRECISIONS)
    ):
        table.add_column(heading, justify="left" if i < 3 else "right", no_wrap=True)
    rows = found["rows"]
    for row, following in zip(rows, [*rows[1:], rows[-1]], strict=True):
        low, median, high = (f"{row['steps_per_second'][key] / 1e3:,.0f}" for key in ("q1", "median", "q3"))
        table.add_row(
            row["search"], f"{row['package']} {versions[row['package']]}", row["precision"], median,
            f"{low} to {high}", f"{row['gain_over_doing_nothing']:.2f}",
            *(f"{ratio:.2f}" for ratio in row["ours_over_it"].values()),
            end_section=row["search"] != following["search"],
        )  # fmt: skip
    console.print(table)
    for line in (
        ", ".join(f"{key} {value}" for key, value in (machine | versions).items()),
        *found["missing"],
    ):
        console.print(line, highlight=False, soft_wrap=True)
