"""What came of a sweep: a table in the terminal, `results.csv`, and a picture of which setting mattered."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mbtransfer.atomic import write_text
from mbtransfer.sweep.file import SweepFile
from mbtransfer.sweep.importance import importance
from mbtransfer.sweep.picture import draw
from mbtransfer.sweep.trial import Trial

SHOWN = 15
"""Trials in the table; the file has all."""

ENOUGH = 2
"""Trials with a metric from which on there is a picture."""


def write_results(file: SweepFile, trials: Sequence[Trial], out: Path, console: Console) -> None:
    """Write the table and the picture, and show the best trials.

    Raises:
        UserError: a file cannot be written.
    """
    frame = as_frame(file, trials)
    write_text(out / "results.csv", frame.to_csv(index=False))
    _show(file, frame, console)
    scored = frame.dropna(subset="metric").reset_index(drop=True)
    if len(scored) >= ENOUGH and file.varied:
        share = importance(scored[file.varied], scored["metric"])
        draw(file, scored, share, out / "sweep.png")
        told = ", ".join(f"{name} {part:.0%}" for name, part in share.items())
        console.print(f"importance: {told}", highlight=False, soft_wrap=True, markup=False)
    console.print(f"wrote {out}", highlight=False, soft_wrap=True, markup=False)


def as_frame(file: SweepFile, trials: Sequence[Trial]) -> pd.DataFrame:
    """One row per trial, best first: trial, state, metric, seconds, its parameters, note."""
    rows = [
        {"trial": one.number, "state": one.state, "metric": one.metric, "seconds": round(one.seconds, 3)}
        | one.params
        | {"note": one.note}
        for one in trials
    ]
    frame = pd.DataFrame(rows, columns=None if rows else ["trial", "state", "metric", "seconds", "note"])
    frame["metric"] = frame["metric"].astype("float64")
    order = ["metric", "trial"]
    return frame.sort_values(order, ascending=[not file.maximise, True]).reset_index(drop=True)


def _show(file: SweepFile, frame: pd.DataFrame, console: Console) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("trial", file.metric, *file.varied, "state", "seconds"):
        table.add_column(Text(heading), justify="right")
    for _, row in frame.head(SHOWN).iterrows():
        cells = [row["trial"], row["metric"], *(row[name] for name in file.varied), row["state"]]
        table.add_row(*(Text(_cell(cell)) for cell in cells), f"{row['seconds']:.0f}")
    console.print(table)


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
