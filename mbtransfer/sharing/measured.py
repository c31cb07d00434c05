"""Figures of a card, from the rows that `evaluate` wrote; nothing else can make one."""

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mbtransfer.errors import UserError
from mbtransfer.evaluation.config import EvalConfig
from mbtransfer.evaluation.results import read_rows
from mbtransfer.evaluation.results_store import VERSION, key_of_row, read_settings, settings_path
from mbtransfer.evaluation.statistics import summarise_splits, summarise_tasks
from mbtransfer.sharing.card import Measurement, SplitFigure, TaskFigure
from mbtransfer.sharing.contents import file_record
from mbtransfer.validation import validated

OF_RUN = ("episodes", "definition")
"""Settings that belong to one run; the others are those of a whole measurement."""

ROWS = ("*.csv", "rows/*.csv")
"""Where rows are in a folder of results."""


def rows_files(results: Iterable[Path]) -> list[Path]:
    """Files of rows that are named, or that are in folders that are named.

    Raises:
        UserError: there is nothing, or a folder has no rows that `evaluate` wrote.
    """
    found: dict[Path, None] = {}
    for path in results:
        if path.is_file():
            inside = [path]
        elif path.is_dir():
            named = (one for pattern in ROWS for one in sorted(path.glob(pattern)))
            inside = [one for one in named if settings_path(one).is_file()]
        else:
            raise UserError(f"there are no results at {path}; name a file or folder of `evaluate --rows`")
        if not inside or not all(settings_path(one).is_file() for one in inside):
            raise UserError(
                f"{path} has no rows with their settings (such as rows.csv and rows.settings.json); "
                "measure with `mbtransfer evaluate --rows`"
            )
        found |= dict.fromkeys(inside)
    return list(found)


def read_measurements(path: Path, digest: str, prepared: str) -> tuple[list[Measurement], list[str]]:
    """What a file of rows measured of a model.

    Args:
        path: the rows.
        digest: of the model.
        prepared: digest of what is prepared for it.

    Returns:
        A measurement for each group of settings, and sentences about what was left out.

    Raises:
        UserError: the rows are of another model, not finished, not as they were written, or lack their settings.
    """
    known = read_settings(settings_path(path))
    rows = read_rows(path, checked=known["version"] == VERSION)
    keys = rows.apply(key_of_row, axis=1) if len(rows) else pd.Series(dtype=str)
    groups: dict[str, list[str]] = {}
    left_out: list[str] = []
    for key in dict.fromkeys(keys):
        settings = _settings(path, known, key)
        if settings["dynamics"] != "learned":
            left_out.append(key)
            continue
        _check_run(path, settings, rows[keys == key], digest, prepared)
        groups.setdefault(json.dumps(_common(settings), sort_keys=True), []).append(key)
    measured = [
        _measurement(path, known, rows[keys.isin(chosen)], keys[keys.isin(chosen)])
        for chosen in groups.values()
    ]
    told = [f"{path}: left out {len(left_out)} runs of the oracle, which say nothing of the model"]
    return measured, told if left_out else []


def _settings(path: Path, known: Mapping[str, Any], key: str) -> dict[str, Any]:
    settings: dict[str, Any] | None = known["settings"].get(known["runs"].get(key))
    if settings is None:
        raise UserError(f"{path} has rows of {key!r} whose settings are not known; measure them again")
    return settings


def _check_run(
    path: Path, settings: Mapping[str, Any], rows: pd.DataFrame, digest: str, prepared: str
) -> None:
    name = f"{rows['task'].iloc[0]}, seed {rows['seed'].iloc[0]}"
    if settings["model_digest"] != digest:
        raise UserError(
            f"{path}: {name} was measured with another model ({settings['model_digest']}, not {digest}); "
            "measure this one with `mbtransfer evaluate --rows`"
        )
    if unknown := sorted(settings.keys() - {*FIELDS, *BESIDE, *OF_RUN}):
        raise UserError(
            f"{path}: {name} was measured with {unknown[0]}, which no card can tell; measure without it"
        )
    if settings["prepared"] not in ("", prepared):
        raise UserError(f"{path}: {name} was measured with other prepared policies; measure it again")
    if sorted(rows["episode"]) != list(range(settings["episodes"])):
        raise UserError(
            f"{path} lacks episodes of {name}: {len(rows)} of {settings['episodes']}; run `evaluate` again to finish"
        )


def _common(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in OF_RUN}


def _measurement(
    path: Path, known: Mapping[str, Any], rows: pd.DataFrame, keys: "pd.Series[str]"
) -> Measurement:
    settings = [_settings(path, known, key) for key in dict.fromkeys(keys)]
    common = _common(settings[0])
    tasks = tuple(
        _task_figure(path, found, rows, {key: _settings(path, known, key) for key in keys})
        for found in summarise_tasks(rows)
    )
    return Measurement(
        path.name,
        file_record(path).sha256,
        command_of(common, tasks),
        common,
        tuple(known.get("made_on", ())),
        tasks,
        tuple(_split_figures(rows, tasks)),
    )


def _task_figure(
    path: Path, found: Mapping[str, Any], rows: pd.DataFrame, settings: Mapping[str, Mapping[str, Any]]
) -> TaskFigure:
    own = rows[(rows["task"] == found["name"]) & (rows["kind"] == found["kind"])]
    asked = [settings[key] for key in dict.fromkeys(own.apply(key_of_row, axis=1))]
    for name in OF_RUN:
        if len({one[name] for one in asked}) > 1:
            raise UserError(f"{path}: {name} of {found['name']} differs between seeds; measure them alike")
    spread = float(own["return_"].std(ddof=1)) if len(own) > 1 else 0.0
    return TaskFigure(
        found["name"], found["kind"], found["split"], asked[0]["definition"],
        tuple(int(seed) for seed in dict.fromkeys(own["seed"])), asked[0]["episodes"], int(own["success"].sum()),
        found["success_rate"], tuple(found["success_ci95"]), found["endless"], found["return_mean"],
        tuple(found["return_ci95"]), spread,
    )  # fmt: skip


def _split_figures(rows: pd.DataFrame, tasks: Sequence[TaskFigure]) -> Iterable[SplitFigure]:
    ends = {(one.kind, one.name) for one in tasks if not one.endless}
    some = rows[[pair in ends for pair in zip(rows["kind"], rows["task"], strict=True)]]
    for name, found in summarise_splits(some).items():
        if found["tasks"] > 1:
            interval = tuple(found["success_ci95"])
            yield SplitFigure(name, found["tasks"], found["episodes"], found["success_mean"], interval)


def config_of(settings: Mapping[str, Any], model: Path, **given: Any) -> EvalConfig:
    """How episodes are run by the settings of a measurement.

    Args:
        settings: of a measurement.
        model: folder of the model.
        given: settings that a measurement does not have, such as the device.

    Raises:
        UserError: a setting is missing or wrong.
    """
    if unknown := sorted(settings.keys() - {*FIELDS, *BESIDE}):
        raise UserError(f"the card has a setting {unknown[0]!r} that this version does not know")
    values = {name: value for name, value in settings.items() if name in FIELDS}
    chosen = settings.get("planner_settings")
    if not isinstance(chosen, dict) or (missing := sorted(set(FIELDS) - values.keys())):
        raise UserError(f"the card's settings lack {'planner_settings' if chosen is None else missing[0]}")
    values["labels"] = values["labels"] or None
    values["prepared"] = bool(values["prepared"])
    values["settings"] = tuple(f"{name}={value!r}" for name, value in sorted(chosen.items()))
    return validated(EvalConfig, values | {"model": str(model)} | given, about="the card's settings: ")


FIELDS = (
    "env", "dynamics", "reward", "labels", "planner", "particles", "precision", "compile", "decision_ms", "discount",
    "risk", "uncertainty_penalty", "retry_after", "prepared",
)  # fmt: skip
"""Settings of a measurement that are fields of `EvalConfig` under the same name."""

BESIDE = ("model_digest", "planner_settings")
"""The others. Those of `--clock realtime` are none of them: what it measures depends on the machine."""


def command_of(settings: Mapping[str, Any], tasks: Sequence[TaskFigure]) -> str:
    """The command line that measures the same, with MODEL for the model's folder; tasks of equal seeds together."""
    alike: dict[tuple[tuple[int, ...], int], list[TaskFigure]] = {}
    for one in tasks:
        alike.setdefault((one.seeds, one.episodes), []).append(one)
    flags = _flags(settings)
    return " && ".join(
        shlex.join(["mbtransfer", "evaluate", "--model", "MODEL", *_asked(group, seeds, episodes), *flags])
        for (seeds, episodes), group in alike.items()
    )


def _asked(tasks: Sequence[TaskFigure], seeds: Sequence[int], episodes: int) -> list[str]:
    kinds = {"--tasks": "task", "--recipes": "recipe"}
    named = {flag: [one.name for one in tasks if one.kind == kind] for flag, kind in kinds.items()}
    words = [word for flag, names in named.items() if names for word in (flag, *names)]
    if any(one.split == "user" for one in tasks):
        words += ["--task-file", "FILE.py"]
    return [*words, "--episodes", str(episodes), "--seeds", *map(str, seeds)]


def _flags(settings: Mapping[str, Any]) -> list[str]:
    chosen = dict(settings["planner_settings"])
    words = []
    for name in ("planner", "reward", "labels", "particles", "precision", "decision_ms", "discount", "risk",
                 "uncertainty_penalty", "retry_after"):  # fmt: skip
        if settings[name] not in (None, 0, 0.0):
            words += [f"--{name.replace('_', '-')}", str(settings[name])]
    for name in ("horizon", "candidates", "iterations"):
        if name in chosen:
            words += [f"--{name}", str(int(chosen.pop(name)))]
    if chosen:
        words += ["--settings", *(f"{name}={value}" for name, value in sorted(chosen.items()))]
    words += ["--compile"] if settings["compile"] else []
    return words + ([] if settings["prepared"] else ["--no-prepared"])
