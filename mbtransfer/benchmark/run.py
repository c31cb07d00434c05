"""One seed of a protocol, by the same commands that users run; every stage is kept."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console

from mbtransfer import __version__
from mbtransfer.benchmark.protocol import Protocol
from mbtransfer.commands.collect import run_collect
from mbtransfer.commands.prepare import run_prepare
from mbtransfer.config import CollectConfig, EvaluateConfig, FitConfig, PrepareConfig
from mbtransfer.dataset import Dataset
from mbtransfer.evaluate import run_evaluate
from mbtransfer.fitting import run_fit
from mbtransfer.stages import Stages

LATER_SEED = 1_000
"""Evaluation uses seeds from here on, so that no episode is like one that was collected."""

ROUNDS = 100
"""Seeds of the rounds of one seed are so far apart."""

Flags = TypeVar("Flags", CollectConfig, FitConfig, PrepareConfig, EvaluateConfig)


def run_seed(protocol: Protocol, out: Path, seed: int, workers: int, console: Console) -> dict[str, Any]:
    """Collect, fit, prepare, evaluate; what is there from before is not done again.

    Returns:
        `seconds` of each kind of stage, and the control `steps` of the pool.

    Raises:
        UserError: the folder holds results of another protocol, or a setting is wrong.
    """
    settings = {"version": __version__, "seed": seed, "protocol": asdict(protocol)}
    do = (stages := Stages(out / "stages", settings, console)).do
    data, model = out / "data", out / "model"
    for number, own in enumerate(protocol.rounds):
        last = number == len(protocol.rounds) - 1
        given = {"out": data, "env": protocol.env, "workers": workers, "seed": seed + ROUNDS * number}
        given |= {"model": out / f"round-{number - 1}"} if number else {}
        collect = _flags(CollectConfig, given, own)
        do(f"collect-{number}", f"collect, round {number + 1}", partial(run_collect, collect))
        given = {"data": data, "out": model if last else out / f"round-{number}", "seed": seed, "threads": 1}
        fit = _flags(FitConfig, given, protocol.fit if last else protocol.between)
        do(f"fit-{number}", f"fit after round {number + 1}", partial(run_fit, fit))
        if protocol.ready and not last:
            given = {"model": out / f"round-{number}", "seed": seed, "threads": 1}
            ready = _flags(PrepareConfig, given, protocol.ready)
            do(f"prepare-{number}", f"prepare after round {number + 1}", partial(run_prepare, ready, console))
    common = {"model": model, "tasks": protocol.tasks, "threads": 1}
    if protocol.prepare:
        prepare = _flags(PrepareConfig, common, {"seed": seed}, protocol.prepare)
        do("prepare", "prepare", partial(run_prepare, prepare, console))
    for way, own in protocol.evaluate.items():
        rows = {"rows": out / "rows" / f"{way}.csv", "json": out / "rows" / f"{way}.json"}
        given = {"env": protocol.env, "seeds": (LATER_SEED + seed,), "workers": workers} | rows
        evaluate = _flags(EvaluateConfig, common, given, own)
        do(f"evaluate-{way}", f"evaluate: {way}", partial(run_evaluate, evaluate, console))
    return {"seconds": _by_kind(stages.seconds), "steps": Dataset.open(data).steps}


def _flags(kind: type[Flags], *settings: Mapping[str, Any]) -> Flags:
    """A command's settings, later ones first; YAML has lists where flags are tuples."""
    merged: dict[str, Any] = {name: value for some in settings for name, value in some.items()}
    tuples: dict[str, Any] = {name: tuple(x) if isinstance(x, list) else x for name, x in merged.items()}
    return kind(**tuples)


def _by_kind(seconds: Mapping[str, float]) -> dict[str, float]:
    kinds: dict[str, float] = {}
    for stage, time in seconds.items():
        kind = stage.partition("-")[0]
        kinds[kind] = kinds.get(kind, 0.0) + time
    return kinds
