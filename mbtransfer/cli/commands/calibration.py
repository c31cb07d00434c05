"""`mbtransfer calibration`: coverage of predictive intervals and quality of disagreement."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from mbtransfer.config import CalibrationConfig
from mbtransfer.data import Dataset
from mbtransfer.diagnostics.calibration import (
    by_column,
    fit_intervals,
    held_out_halves,
    open_loop_error,
    rank_correlation,
    reliability,
    stretches,
)
from mbtransfer.diagnostics.novelty import Unvisited, separation, signals
from mbtransfer.errors import UserError
from mbtransfer.model import Model
from mbtransfer.runtime.files import check_writable, write_json
from mbtransfer.runtime.terminal import Terminal, plain_table, styled
from mbtransfer.tracking import Artifact, track
from tasks.spec import EnvSpec
from world_models.checkpoint.checkpoint import MANIFEST
from world_models.uncertainty import conformal as intervals
from world_models.uncertainty.conformal import Intervals
from world_models.uncertainty.disagreement import DisagreementScale
from world_models.uncertainty.forecast import forecast
from world_models.uncertainty.novelty import Familiarity

STEPS = (1, 5, 10)
"""Horizons shown in the tables; the JSON file has all of them."""

ELSEWHERE = 6000
"""Number of segments of other data; only some of them reach states that the pool never visited."""

GROUPS = {"all": "all columns", "moving": "moving columns", "moving_objects": "moving objects"}

KINDS = {"anywhere": "anywhere", "in_touch": "hand within 8 cm", "moving": "moving"}


def run_calibration(config: CalibrationConfig, console: Terminal | None = None) -> dict[str, Any]:
    """Evaluate the model on held-out episodes that its intervals were not fitted to, and on other data if given.

    Raises:
        UserError, ModelError: the input is wrong.
    """
    console = console or Terminal()
    check_writable(config.json)
    model = Model.load(config.model, device=config.device, trust_code=config.trust_code)
    dataset = _open(config.data, model)
    other = _open(config.other_data, model) if config.other_data else None
    calibration, test = held_out_halves(dataset)
    saved = intervals.NOTE in model.notes
    if saved:
        made, scale = Intervals.of(model.notes), DisagreementScale.of(model.notes)
    else:
        made, scale = fit_intervals(model.dynamics, calibration, config.seed)
    seen = forecast(model.dynamics, stretches(test, config.seed), config.seed)
    found: dict[str, Any] = {
        "model": str(config.model), "data": str(config.data), "saved": saved,
        "fitted_on_data": model.notes.get("data") == dataset.digest,
        "episodes": {"calibration": len(calibration), "test": len(test)},
        "stretches": seen.mean.shape[1], **reliability(seen, made, model.dynamics.layout),
        "columns": by_column(seen, made, model.dynamics.layout),
        "open_loop_error": open_loop_error(seen, model.dynamics.layout), "spearman": {"pool": rank_correlation(seen)},
    }  # fmt: skip
    if other:
        found |= {"other_data": str(config.other_data), "never_visited": None}
        away = stretches(other.pool, config.seed, count=ELSEWHERE)
        there = forecast(model.dynamics, away, config.seed)
        found["spearman"]["other"] = rank_correlation(there)
        pool = np.concatenate([episode.obs for episode in dataset.episodes()])
        unvisited = Unvisited.of(model.environment.spec, pool, away.obs)
        familiarity = Familiarity.of(model.pool.obs, model.dynamics.layout)
        if unvisited.fixtures:
            score, known = (signals(part, scale, familiarity) for part in (there, seen))
            found["never_visited"] = separation(unvisited, score, known)
    _show(console, found)
    if not model.environment.simulated:  # nothing else can tell how good the model is
        console.say("")
        console.say("open-loop error on held-out episodes, in the columns' units; naive: nothing moves")
        console.print(_errors(found, model.environment.spec))
    if config.json:
        write_json(config.json, found)
    _keep(config, dataset, found)
    return found


def _keep(config: CalibrationConfig, dataset: Dataset, found: dict[str, Any]) -> None:
    with track("calibration", config, config.json) as tracker:
        tracker.uses(Artifact.of("model", config.model, config.model / MANIFEST))
        tracker.uses(Artifact("dataset", str(config.data), dataset.digest))
        tracker.summary(found)


def _open(path: Path, model: Model) -> Dataset:
    dataset, env = Dataset.open(path), model.environment.spec.name
    if dataset.header.env != env:
        raise UserError(f"{path} holds data of {dataset.header.env}, but the model is for {env}")
    return dataset


def _show(console: Terminal, found: dict[str, Any]) -> None:
    episodes = found["episodes"]
    source = "the model's own" if found["saved"] else "made now"
    console.say(
        f"intervals: {source}, from {episodes['calibration']} held-out episodes; tested on {episodes['test']} others, "
        f"{found['stretches']:,} segments",
    )  # fmt: skip
    if not found["fitted_on_data"]:
        console.say(styled(("note", "yellow"), " the model was not fitted on just these data"))
    for title, table in _tables(found):
        console.say("")
        console.say(title)
        console.print(table)


def _tables(found: dict[str, Any]) -> Iterator[tuple[str, Table]]:
    level = f"{found['level']:.0%}"
    yield (
        f"the {level} interval; was: before recalibration; naive: an interval around the start",
        _coverage(found),
    )
    yield "disagreement and true error: Spearman's rank correlation", _ranks(found)
    if unvisited := found.get("never_visited"):
        fixtures = ", ".join(unvisited["fixtures"])
        yield (
            f"AUROC of detecting positions of {fixtures} that the pool never visited",
            _separation(unvisited),
        )


def _coverage(found: dict[str, Any]) -> Table:
    table = plain_table("steps", "covers", "was", "ECE", "was", "width", "was", "naive")
    for group, label in GROUPS.items():
        for step in _steps(found) if group in found else ():
            part, at = found[group], step - 1
            cells = [
                _number(part[when][what][at], digits)
                for what, digits in (("coverage", 3), ("ece", 3), ("width", 2))
                for when in ("after", "before")
            ]
            name = f"{label} ({part['share'][0]:.0%})" if step == 1 else ""
            table.add_row(name, str(step), *cells, _number(part["travel"][at], 1))
    return table


def _ranks(found: dict[str, Any]) -> Table:
    steps = _steps(found)
    table = plain_table(*(f"{step} steps" if step > 1 else "1 step" for step in steps))
    for name, values in found["spearman"].items():
        label = {"pool": "held-out episodes", "other": "other data"}[name]
        table.add_row(label, *(_number(values[step - 1]) if step <= len(values) else "" for step in steps))
    return table


def _errors(found: dict[str, Any], spec: EnvSpec) -> Table:
    headings = [text for step in _steps(found) for text in (f"after {step}", "naive")]
    table = plain_table("unit", *headings)
    for column in spec.observation:
        error = found["open_loop_error"][column.name]
        cells = [f"{error[who][step - 1]:.3g}" for step in _steps(found) for who in ("model", "naive")]
        table.add_row(column.name, column.unit, *cells)
    return table


def _separation(found: dict[str, Any]) -> Table:
    table = plain_table(*(f"{label} ({found['unvisited'][kind]:,})" for kind, label in KINDS.items()))
    for signal, by_kind in found["auroc"].items():
        table.add_row(signal, *(_number(by_kind[kind]) for kind in KINDS))
    return table


def _steps(found: dict[str, Any]) -> list[int]:
    return [step for step in STEPS if step in found["horizon"]] or found["horizon"][:1]


def _number(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"
