"""One seed of a protocol, by the same commands that users run; every stage is kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from mbtransfer import __version__
from mbtransfer.benchmark.fold import Fold
from mbtransfer.benchmark.protocol import Protocol
from mbtransfer.dataset import Dataset
from mbtransfer.stages import Stages


@dataclass(frozen=True)
class Found:
    """What one pool came to.

    Attributes:
        rows: folder of the rows, a file for each way.
        steps: control steps of the pool.
        seconds: of each kind of stage.
    """

    rows: Path
    steps: int
    seconds: Mapping[str, float]


def run_seed(
    protocol: Protocol, out: Path, seed: int, workers: int, console: Console, tracking: Mapping[str, Any]
) -> list[Found]:
    """Collect, fit, prepare, evaluate, for every fold; what is there from before is not done again.

    Raises:
        UserError: the folder holds results of another protocol, or a setting is wrong.
    """
    if not protocol.folds:
        return [_run(Fold(protocol, out, seed, workers, console, tracking), console)]
    found = []
    for number, held_out in enumerate(protocol.folds):
        console.rule(f"held out: {', '.join(held_out)}")
        fold = Fold(protocol, out / f"fold-{number}", seed, workers, console, tracking, held_out)
        found.append(_run(fold, console))
    return found


def _run(fold: Fold, console: Console) -> Found:
    settings = {"version": __version__, "seed": fold.seed, "protocol": fold.protocol.basis}
    stages = Stages(fold.out / "stages", settings | {"held_out": fold.held_out}, console)
    for name, title, work in fold.stages():
        stages.do(name, title, work)
    return Found(fold.out / "rows", Dataset.open(fold.out / "data").steps, _by_kind(stages.seconds))


def _by_kind(seconds: Mapping[str, float]) -> dict[str, float]:
    kinds: dict[str, float] = {}
    for stage, time in seconds.items():
        kind = stage.partition("-")[0]
        kinds[kind] = kinds.get(kind, 0.0) + time
    return kinds
