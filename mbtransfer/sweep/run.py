"""`mbtransfer sweep`: trials until all are done, so many at a time; killed at any instant, it goes on."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from mbtransfer.alone import alone
from mbtransfer.atomic import write_bytes, write_json
from mbtransfer.config import SweepConfig
from mbtransfer.engines import make_engine
from mbtransfer.errors import UserError
from mbtransfer.sweep import engine
from mbtransfer.sweep.execute import OUTPUT, Ended
from mbtransfer.sweep.file import SweepFile, read_sweep_file
from mbtransfer.sweep.judge import judged
from mbtransfer.sweep.results import write_results
from mbtransfer.sweep.trial import Trial, read_trials
from mbtransfer.sweep.work import Afar, Here

FAILURES = 3
"""Failed trials at the beginning, after which a sweep gives up, as W&B's agent does."""

SETTINGS = "sweep.json"


def run_sweep(config: SweepConfig, console: Console | None = None) -> list[Trial]:
    """Do the trials that a sweep file asks for, and say which setting mattered.

    Raises:
        UserError: a file that cannot be used, a folder of another sweep, or trials that all fail.
    """
    console = console or Console()
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
    with alone(out):
        _check_same(out, {"sweep": file.content, "seed": config.seed})
        trials = _do_all(file, out, config, most, console)
        write_results(file, trials, out, console)
        _check_hopeless(trials, out, min(FAILURES, len(trials)))
    return trials


def _do_all(
    file: SweepFile, out: Path, config: SweepConfig, most: int | None, console: Console
) -> list[Trial]:
    """Take up what was left, then propose and do until there is no more."""
    trials = read_trials(out)
    _check_hopeless(trials, out)
    if done := sum(trial.state in ("finished", "stopped") for trial in trials):
        console.print(f"{done} trials in {out} are kept", highlight=False, soft_wrap=True)
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
        params = engine.propose(file.content, trials, config.seed)
        if params is None:
            return
        trials.append(Trial(len(trials), params))
        trials[-1].save(out / trials[-1].name)
        yield trials[-1]


def _job(file: SweepFile, out: Path, config: SweepConfig) -> Here | Afar:
    if config.engine == "ray":
        return Afar(file.content, out.resolve(), Path.cwd())
    return Here(file.content, out.resolve(), Path.cwd(), dict(os.environ), config.workers)


def _keep(file: SweepFile, ended: Ended, out: Path, console: Console) -> Trial:
    """Write down what came of a trial; its record comes last and says that all is there."""
    folder = out / ended.trial.name
    for name, data in ended.files.items():
        write_bytes(folder / name, data)
    trial = judged(file.content, ended, folder)
    trial.save(folder)
    told = f"{file.metric} {trial.metric:.4g}" if trial.metric is not None else trial.note
    chosen = ", ".join(f"{name}={_short(trial.params[name])}" for name in file.varied)
    line = f"trial {trial.number}: {chosen}: {trial.state}, {told} ({trial.seconds:.0f} s)"
    console.print(line, highlight=False, soft_wrap=True, markup=False)
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
    if not known.is_file():
        write_json(known, settings)
        return
    try:
        before = json.loads(known.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {known} ({error}); give another --out") from error
    if before != settings:
        raise UserError(f"{out} holds another sweep, or one of another seed; give another --out")
