"""`mbtransfer sweep`: one trial after the other until all are done; killed at any instant, it goes on."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console

from mbtransfer.alone import alone
from mbtransfer.atomic import write_json
from mbtransfer.config import SweepConfig
from mbtransfer.errors import UserError
from mbtransfer.sweep import engine
from mbtransfer.sweep.execute import OUTPUT, do_trial
from mbtransfer.sweep.file import SweepFile, read_sweep_file
from mbtransfer.sweep.results import write_results
from mbtransfer.sweep.trial import Trial, read_trials

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
    out = config.out or Path("runs") / "sweeps" / file.path.stem
    with alone(out):
        _check_same(out, {"sweep": file.content, "seed": config.seed})
        trials = _do_all(file, out, config.seed, most, console)
        write_results(file, trials, out, console)
        _check_hopeless(trials, out, min(FAILURES, len(trials)))
    return trials


def _do_all(file: SweepFile, out: Path, seed: int, most: int | None, console: Console) -> list[Trial]:
    """Take up what was left, then propose and do until there is no more."""
    trials = read_trials(out)
    _check_hopeless(trials, out)
    if done := sum(trial.state in ("finished", "stopped") for trial in trials):
        console.print(f"{done} trials in {out} are kept", highlight=False, soft_wrap=True)
    while (number := _next(trials)) < (len(trials) + 1 if most is None else most):
        if number == len(trials):
            params = engine.propose(file.content, trials, seed)
            if params is None:
                break
            trials.append(Trial(number, params))
        trials[number] = _do(file, trials[number], trials[:number], out, console)
        _check_hopeless(trials, out)
    return trials


def _next(trials: list[Trial]) -> int:
    """The first that is still to be done: begun, or not even proposed."""
    return next((trial.number for trial in trials if trial.state == "running"), len(trials))


def _do(file: SweepFile, trial: Trial, before: list[Trial], out: Path, console: Console) -> Trial:
    folder = out / trial.name
    trial.save(folder)
    early = "early_terminate" in file.content
    ended = do_trial(
        file.content, trial, folder, lambda now: early and engine.stops(file.content, [*before, now])
    )
    ended.save(folder)
    told = f"{file.metric} {ended.metric:.4g}" if ended.metric is not None else ended.note
    chosen = ", ".join(f"{name}={_short(ended.params[name])}" for name in file.varied)
    line = f"trial {trial.number}: {chosen}: {ended.state}, {told} ({ended.seconds:.0f} s)"
    console.print(line, highlight=False, soft_wrap=True, markup=False)
    return ended


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
