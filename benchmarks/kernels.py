"""Does `--precision auto` take the fastest kernel? `python -m benchmarks.kernels [--json FILE] [--seconds 0.5]`.

Times a roll-out with every kernel that this machine has, on one thread, for a list of works; and, for the kitchen, a
whole batch of decisions with reward heads and the roll-outs in it alone. Ends with 1 if `auto` takes a kernel that is
more than 5 percent slower than the best.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from time import perf_counter
from typing import Any

import torch
from rich.console import Console

from mbtransfer.model import model_layout
from mbtransfer.mpc.controller import PARTICLES
from mbtransfer.mpc.objective import LearnedDynamics
from mbtransfer.runtime.environment import threads
from mbtransfer.runtime.files import write_json
from mbtransfer.speed.workload import KitchenDecisions, Work
from tasks.registry import make
from world_models.dynamics.ensemble import EnsembleConfig, EnsembleDynamics
from world_models.dynamics.kernels import Kernel, choices, processor
from world_models.dynamics.native import in_c
from world_models.dynamics.rollout import Imagination, Imagined

CLOSE = 1.05
"""How many times as long as the best the kernel of `auto` may take."""

PLANS = 48

DENSE = EnsembleConfig(structure="dense", hidden=256)
"""What `fit` takes where there are no objects."""


@dataclass(frozen=True)
class Case:
    """Roll-outs of some rows."""

    name: str
    dynamics: EnsembleDynamics
    particles: int
    rows: int
    steps: int

    def trial(self, imagination: Imagination) -> Callable[[], object]:
        """One roll-out from about the middle of all observations."""
        source, normal = torch.Generator().manual_seed(1), self.dynamics.normalizer
        size = self.dynamics.layout.obs_size
        obs = normal.centre + normal.scale * torch.randn(self.rows, size, generator=source)
        plans = 2 * torch.rand(self.rows, self.steps, self.dynamics.layout.action_size, generator=source) - 1
        return lambda: imagination(obs, plans)


def cases() -> list[Case]:
    """The kitchen, alone and with 64 episodes at once, PETS on the half-cheetah, the walker and the Franka kitchen."""
    source = torch.Generator().manual_seed(0)
    kitchen = EnsembleDynamics(model_layout(make("kitchen").spec), EnsembleConfig(), source)
    franka = EnsembleDynamics(model_layout(make("franka_kitchen").spec), EnsembleConfig(), source)
    walker = EnsembleDynamics(model_layout(make("dm_control:walker").spec), DENSE, source)
    pets = Work()
    return [
        Case("kitchen", kitchen, PARTICLES, PLANS, 15),
        Case("kitchen, 64 episodes", kitchen, PARTICLES, 64 * PLANS, 15),
        Case("PETS, half-cheetah", pets.dynamics(), pets.particles, pets.candidates, pets.horizon),
        Case("walker", walker, PARTICLES, PLANS, 20),
        Case("walker, 16 episodes", walker, PARTICLES, 16 * PLANS, 20),
        Case("Franka kitchen", franka, PARTICLES, PLANS, 15),
    ]


@torch.no_grad()
def measure(case: Case, seconds: float) -> dict[str, Any]:
    """Milliseconds of one roll-out by kernel, by turns, and which of them `auto` takes."""
    able = choices("auto", torch.device("cpu"), in_c())
    trials = {
        str(kernel): case.trial(Imagination(case.dynamics, case.particles, kernel=kernel))
        for kernel in dict.fromkeys([Kernel("torch"), *able])
    }
    taken: dict[str, list[float]] = {name: [] for name in trials}
    for trial in trials.values():
        trial()
    begin = perf_counter()
    while len(taken[str(able[0])]) < 3 or perf_counter() - begin < seconds * len(trials):
        for name, trial in trials.items():
            taken[name].append(_milliseconds(trial))
    times = {name: median(values) for name, values in taken.items()}
    auto = str(Imagination(case.dynamics, case.particles, precision="auto", rows=case.rows).kernel)
    steps = case.rows * case.steps * case.particles
    return {
        "work": case.name, "milliseconds": times, "auto": auto, "slower_than_best": times[auto] / min(times.values()),
        "model_steps_per_second": 1e3 * steps / times[auto],
    }  # fmt: skip


class Timed:
    """An imagination that notes how long its roll-outs take."""

    def __init__(self, imagination: Imagination) -> None:
        self._imagination, self.milliseconds = imagination, 0.0

    def __call__(self, *given: Any) -> Imagined:
        """The same roll-outs."""
        begin = perf_counter()
        futures = self._imagination(*given)
        self.milliseconds += 1e3 * (perf_counter() - begin)
        return futures


def heads(seconds: float) -> list[dict[str, Any]]:
    """Milliseconds of decisions for many episodes, with the heads of so many tasks, and of their roll-outs alone."""
    rows = []
    for episodes, tasks in ((1, 1), (64, 1), (64, 33)):
        decide = KitchenDecisions(episodes, tasks)
        decide(), decide()
        timed, times = Timed(decide.imagination), list[float]()
        decide.agent.dynamics = LearnedDynamics(timed)  # type: ignore[arg-type]
        begin = perf_counter()
        while len(times) < 5 or perf_counter() - begin < 4 * seconds:
            times.append(_milliseconds(decide))
        means = {"decision_ms": mean(times), "roll_outs_ms": timed.milliseconds / len(times)}
        rows.append({"episodes": episodes, "tasks": tasks} | means)
    return rows


def _milliseconds(work: Callable[[], object]) -> float:
    begin = perf_counter()
    work()
    return 1e3 * (perf_counter() - begin)


def main() -> int:
    """Measure and print; 1 if `auto` is slow anywhere."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kernels", description=__doc__)
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--seconds", type=float, default=0.5, help="for each kernel and work (0.5)")
    asked = parser.parse_args()
    console = Console()
    about = processor()
    console.print(f"{about['name']}, {about['instructions']}, one thread; milliseconds of one roll-out")
    with threads(1):
        found = [measure(case, asked.seconds) for case in cases()]
        for row in found:
            console.print(
                f"[bold]{row['work']}[/bold]: auto takes {row['slower_than_best']:.2f} of the best's time"
            )
            for name, time in sorted(row["milliseconds"].items(), key=lambda pair: pair[1]):
                console.print(
                    f"  {time:8.2f}  {name}{'  (auto)' if name == row['auto'] else ''}", highlight=False
                )
        with_heads = heads(asked.seconds)
    for row in with_heads:
        console.print(
            f"{row['episodes']} kitchen episodes of {row['tasks']} tasks: "
            f"{row['decision_ms']:.1f} ms per decision of all, of which roll-outs {row['roll_outs_ms']:.1f}",
            highlight=False,
        )
    if asked.json:
        write_json(asked.json, {"processor": about, "kernels": found, "heads": with_heads})
    return int(any(row["slower_than_best"] > CLOSE for row in found))


if __name__ == "__main__":
    sys.exit(main())
