"""What the structure of a network gains: `python -m benchmarks.structures --data DATASET [--json FILE]`.

Every structure is fitted with as many updates as a free core does in the same time, once on the whole pool and once
on a pool in which the hand never came near one fixture and seldom near two others. Errors are of roll-outs on
held-out episodes, each member alone, as a share of the error of the forecast that nothing moves.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from time import process_time
from typing import Any

import torch
from rich.console import Console
from rich.progress import track

from benchmarks.pools import Work
from benchmarks.roll_outs import milliseconds
from mbtransfer.model import model_layout
from mbtransfer.runtime.environment import threads
from mbtransfer.runtime.files import write_json
from tasks.spec import EnvSpec
from world_models.dynamics.ensemble import EnsembleConfig, EnsembleDynamics
from world_models.layout import Layout
from world_models.training.trainer import TrainingConfig, fit
from world_models.transitions import Transitions

HORIZONS = (1, 5, 10)

TIMED = 40
"""Updates by which the time of one is told."""

LOOK = 250
"""Updates between two looks at held-out transitions."""


@dataclass(frozen=True)
class Variant:
    """A structure to measure."""

    shape: EnsembleConfig
    limits: bool = True
    """Tell the network how near each joint is to its limits, and clamp predictions to them."""

    def layout(self, spec: EnvSpec) -> Layout:
        """What it is told about the world."""
        whole = model_layout(spec)
        return whole if self.limits else replace(whole, limited=(False,) * whole.obs_size)


VARIANTS = {
    "objects": Variant(EnsembleConfig()),
    "shared": Variant(EnsembleConfig(structure="shared")),
    "attention": Variant(EnsembleConfig(structure="attention")),
    "objects, limits unknown": Variant(EnsembleConfig(), limits=False),
    "dense, as many weights": Variant(EnsembleConfig(structure="dense", hidden=190)),
    "dense, as fast": Variant(EnsembleConfig(structure="dense", hidden=256)),
}


def measure(variant: Variant, work: Work, seed: int, seconds: float) -> dict[str, Any]:
    """Fit twice and judge: errors are shares of the error of "nothing moves"."""
    looks = max(1, round(seconds / update_seconds(variant, work) / LOOK))
    rich, poor = (_fitted(variant, work.spec, data, seed, looks, LOOK) for data in (work.whole, work.poor))
    error = work.judge.error(rich)
    return {
        "error": {h: error[h - 1] for h in HORIZONS},
        "unseen_and_rare": {name: judge.error(poor)[-1] for name, judge in work.judges.items()},
        "seen": {name: judge.error(rich)[-1] for name, judge in work.judges.items()},
        "ms": milliseconds(rich, work.judge.paths),
        "weights": sum(p.numel() for p in rich.parameters()) // rich.config.members,
        "updates": looks * LOOK,
    }  # fmt: skip


def update_seconds(variant: Variant, work: Work) -> float:
    """Processor time of one update: what a free core takes, however busy the machine is. One thread."""
    few = work.whole[0][: 512 * TIMED], work.whole[1][:1]
    turns = []
    for updates in (TIMED, 2 * TIMED, TIMED, 2 * TIMED):
        begin = process_time()
        _fitted(variant, work.spec, few, 0, 1, updates)
        turns.append(process_time() - begin)
    return (min(turns[1::2]) - min(turns[::2])) / TIMED


def _fitted(
    variant: Variant,
    spec: EnvSpec,
    data: tuple[Transitions, Transitions],
    seed: int,
    looks: int,
    updates: int,
) -> EnsembleDynamics:
    """A model after so many looks at held-out transitions, with so many updates before each."""
    generator = torch.Generator().manual_seed(seed)
    dynamics = EnsembleDynamics(variant.layout(spec), variant.shape, generator)
    config = TrainingConfig(epochs=looks, steps_per_epoch=updates, patience=0)
    for _ in fit(dynamics, *data, config, seed):
        pass
    return dynamics


def as_markdown(found: dict[str, list[dict[str, Any]]]) -> str:
    """A table of means over seeds."""
    fixtures = list(next(iter(found.values()))[0]["seen"])
    heads = ["", *(f"{h} steps" for h in HORIZONS), *fixtures, "ms", "weights", "updates"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, runs in found.items():
        cells = [f"{mean(run['error'][h] for run in runs):.3f}" for h in HORIZONS]
        for fixture in fixtures:
            pair = (mean(run[key][fixture] for run in runs) for key in ("unseen_and_rare", "seen"))
            cells.append(" / ".join(f"{value:.2f}" for value in pair))
        cells.append(" / ".join(f"{mean(run['ms'][way] for run in runs):.1f}" for way in runs[0]["ms"]))
        cells += [f"{mean(run[key] for run in runs):,.0f}" for key in ("weights", "updates")]
        lines.append(f"| {' | '.join([name, *cells])} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, show, and write if asked to."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.structures", description="Compare structures."
    )
    parser.add_argument("--data", type=Path, required=True, help="dataset folder")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="seeds of the models (0)")
    parser.add_argument(
        "--seconds", type=float, default=40.0, help="seconds of each training on a free core (40)"
    )
    parser.add_argument("--unseen", default="right_knob", help="fixture never touched in the poorer pool")
    parser.add_argument("--rare", nargs="*", default=["light_switch", "slide_cabinet"], help="seldom touched")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS, help="all")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    asked = parser.parse_args()
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in asked.variants}
    with threads(1):
        work = Work.of(asked.data, asked.unseen, asked.rare)
        todo = [(seed, name) for seed in asked.seeds for name in asked.variants]
        for seed, name in track(todo, "fitting", console=Console(stderr=True)):
            found[name].append(measure(VARIANTS[name], work, seed, asked.seconds))
    print(as_markdown(found))
    if asked.json:
        write_json(asked.json, {"seconds": asked.seconds, "seeds": asked.seeds, "structures": found})


if __name__ == "__main__":
    main()
