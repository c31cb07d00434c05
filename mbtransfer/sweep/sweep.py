"""A sweep: trials in parallel until done, resumable, with a table and a plot."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.table import Table

from mbtransfer.config import SweepConfig
from mbtransfer.errors import UserError
from mbtransfer.runtime.executors import make_engine
from mbtransfer.runtime.files import output_lock, read_sealed, write_bytes, write_sealed, write_text
from mbtransfer.runtime.spreadsheet import as_cell
from mbtransfer.runtime.terminal import Terminal
from mbtransfer.sweep.config import SweepFile, read_sweep_file
from mbtransfer.sweep.plot import plot_sweep
from mbtransfer.sweep.runner import OUTPUT, Ended, LocalTrialRunner, RayTrialRunner, judged
from mbtransfer.sweep.search import importance, propose
from mbtransfer.sweep.trial import Trial, read_trials

FAILURES = 3
"""Failed trials at the beginning, after which a sweep gives up, as W&B's agent does."""

SETTINGS = "sweep.json"


def sweep(config: SweepConfig, console: Terminal | None = None) -> list[Trial]:
    """Do the trials that a sweep file asks for, and say which setting mattered.

    Raises:
        UserError: a file that cannot be used, a folder of another sweep, or trials that all fail.
    """
    console = console or Terminal()
    file = read_sweep_file(config.file)
    most = config.count or file.run_cap
    if most is None and file.content["method"] != "grid":
        raise UserError(
            f"method {file.content['method']} never ends; give --count, or run_cap in {file.path}"
        )
    if config.engine == "ray" and "early_terminate" in file.content:
        raise UserError(
            f"early_terminate in {file.path} needs --engine local: a node does not see how other trials do"
        )
    out = config.out or Path("runs") / "sweeps" / file.path.stem
    with output_lock(out):
        _check_same(out, {"sweep": file.content, "seed": config.seed})
        trials = _do_all(file, out, config, most, console)
        write_results(file, trials, out, console)
        _check_hopeless(trials, out, min(FAILURES, len(trials)))
    return trials


def _do_all(
    file: SweepFile, out: Path, config: SweepConfig, most: int | None, console: Terminal
) -> list[Trial]:
    """Take up what was left, then propose and do until there is no more."""
    trials = read_trials(out)
    _check_hopeless(trials, out)
    if done := sum(trial.state in ("finished", "stopped") for trial in trials):
        console.say(f"{done} trials in {out} are kept")
    means, ahead = (
        make_engine(config.engine, config.workers, config.address),
        _ahead(file, trials, out, config, most),
    )
    for trial, ended in means.map(_job(file, out, config), ahead):
        trials[trial.number] = _keep(file, ended, out, console)
        _check_hopeless(trials, out)
    return trials


def _ahead(
    file: SweepFile, trials: list[Trial], out: Path, config: SweepConfig, most: int | None
) -> Iterator[Trial]:
    """What was begun, then new ones: each is proposed when there is room for it, by what is known by then."""
    yield from [trial for trial in trials[:most] if trial.state == "running"]
    while most is None or len(trials) < most:
        params = propose(file.content, trials, config.seed)
        if params is None:
            return
        trials.append(Trial(len(trials), params))
        trials[-1].save(out / trials[-1].name)
        yield trials[-1]


def _job(file: SweepFile, out: Path, config: SweepConfig) -> LocalTrialRunner | RayTrialRunner:
    if config.engine == "ray":
        return RayTrialRunner(file.content, out.resolve(), Path.cwd())
    return LocalTrialRunner(file.content, out.resolve(), Path.cwd(), dict(os.environ), config.workers)


def _keep(file: SweepFile, ended: Ended, out: Path, console: Terminal) -> Trial:
    """Write down what came of a trial; its record comes last and says that all is there."""
    folder = out / ended.trial.name
    for name, data in ended.files.items():
        write_bytes(folder / name, data)
    trial = judged(file.content, ended, folder)
    trial.save(folder)
    told = f"{file.metric} {trial.metric:.4g}" if trial.metric is not None else trial.note
    shown = file.shown(trial.params)
    chosen = ", ".join(f"{name}={_short(shown[name])}" for name in file.varied)
    line = f"trial {trial.number}: {chosen}: {trial.state}, {told} ({trial.seconds:.0f} s)"
    console.say(line)
    return trial


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _check_hopeless(trials: list[Trial], out: Path, enough: int = FAILURES) -> None:
    first = trials[:enough]
    if first and len(first) == enough and all(trial.state == "failed" for trial in first):
        what = f"the first {enough} trials" if enough > 1 else "the first trial"
        where = f"see {out / first[-1].name / OUTPUT}, then remove {out}"
        raise UserError(f"{what} failed ({first[-1].note}); {where}")


def _check_same(out: Path, settings: dict[str, Any]) -> None:
    """A folder holds one sweep; how many trials it has may change."""
    known, settings = out / SETTINGS, json.loads(json.dumps(settings, default=str))
    before = read_sealed(known, "give another --out")
    if before is None:
        write_sealed(known, settings)
    elif before != settings:
        raise UserError(f"{out} holds another sweep, or one of another seed; give another --out")


SHOWN = 15
"""Trials in the table; the file has all."""

ENOUGH = 2
"""Trials with a metric from which on there is a picture."""


def write_results(file: SweepFile, trials: Sequence[Trial], out: Path, console: Terminal) -> None:
    """Write the table and the picture, and show the best trials.

    Raises:
        UserError: a file cannot be written.
    """
    frame = trials_frame(file, trials)
    write_text(out / "results.csv", frame.map(as_cell).rename(columns=as_cell).to_csv(index=False))
    _show(file, frame, console)
    scored = frame.dropna(subset="metric").reset_index(drop=True)
    if len(scored) >= ENOUGH and file.varied:
        share = importance(scored[file.varied], scored["metric"])
        plot_sweep(file, scored, share, out / "sweep.png")
        told = ", ".join(f"{name} {part:.0%}" for name, part in share.items())
        console.say(f"importance: {told}")
    console.say(f"wrote {out}")


def trials_frame(file: SweepFile, trials: Sequence[Trial]) -> pd.DataFrame:
    """One row per trial, best first: trial, state, metric, seconds, its parameters, note."""
    rows = [
        {"trial": one.number, "state": one.state, "metric": one.metric, "seconds": round(one.seconds, 3)}
        | file.shown(one.params)
        | {"note": one.note}
        for one in trials
    ]
    frame = pd.DataFrame(rows, columns=None if rows else ["trial", "state", "metric", "seconds", "note"])
    frame["metric"] = frame["metric"].astype("float64")
    order = ["metric", "trial"]
    return frame.sort_values(order, ascending=[not file.maximise, True]).reset_index(drop=True)


def _show(file: SweepFile, frame: pd.DataFrame, console: Terminal) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("trial", file.metric, *file.varied, "state", "seconds"):
        table.add_column(heading, justify="right")
    for _, row in frame.head(SHOWN).iterrows():
        cells = [row["trial"], row["metric"], *(row[name] for name in file.varied), row["state"]]
        table.add_row(*(_cell(cell) for cell in cells), f"{row['seconds']:.0f}")
    console.print(table)


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
