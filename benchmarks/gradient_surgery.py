"""What balancing and surgery of gradients gain: `python -m benchmarks.gradient_surgery --model MODEL [--json FILE]`.

The rewards of all source tasks are learned by one network with a shared trunk, once with each combiner of gradients
and from the same labels, weights and batches. R2 is the share of the variance of other labels that it explains: in the
source tasks, and in held-out tasks, for which only a last layer is fitted. Times are of the processor, one thread.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from time import process_time
from typing import Any

from jaxtyping import Float
from rich.console import Console
from rich.progress import track
from torch import Tensor

from mbtransfer.errors import USER_ERRORS
from mbtransfer.model import Model
from mbtransfer.runtime.environment import threads
from mbtransfer.runtime.files import write_json
from mbtransfer.transfer.rewards.gradient_surgery import COMBINERS
from mbtransfer.transfer.rewards.shared_heads import (
    Examples,
    SharedHeadsConfig,
    SharedNet,
    fit_shared,
    last_layer,
)

PLAIN = "sum"
"""Whose update the others' times are relative to."""

TURN = 20
"""Updates of the shorter of two trainings whose difference is the time of an update."""


@dataclass(frozen=True)
class Task:
    """The labels of one task: those to learn from, and as many others."""

    known: Examples
    others: Examples

    @classmethod
    def of(cls, model: Model, name: str, labels: int) -> "Task":
        """The task of that name."""
        found = model.label(model.environment.task(name), 2 * labels)
        both = Examples.of(model.dynamics.layout, found)
        return cls(Examples(both.x[:labels], both.y[:labels]), Examples(both.x[labels:], both.y[labels:]))


def r2(predicted: Float[Tensor, " N"], y: Float[Tensor, " N"]) -> float:
    """Share of the variance of labels that is explained."""
    return 1 - float((predicted - y).square().mean() / y.var(unbiased=False).clamp(min=1e-12))


def source_scores(net: SharedNet, tasks: Sequence[Task]) -> list[float]:
    """R2 in each source task."""
    return [r2(net(task.others.x)[:, k], task.others.y) for k, task in enumerate(tasks)]


def target_scores(net: SharedNet, tasks: Sequence[Task], ridge: float) -> list[float]:
    """R2 in each held-out task, with a new last layer."""
    scores = []
    for task in tasks:
        weight, bias = last_layer(net.features(task.known.x), task.known.y, ridge)
        scores.append(r2(net.features(task.others.x) @ weight + bias, task.others.y))
    return scores


def update_seconds(examples: Sequence[Examples], config: SharedHeadsConfig) -> float:
    """Processor time of one update."""
    turns: list[float] = []
    for updates in (TURN, 2 * TURN, TURN, 2 * TURN):
        began = process_time()
        fit_shared(examples, replace(config, updates=updates), 0)
        turns.append(process_time() - began)
    return (min(turns[1::2]) - min(turns[::2])) / TURN


def measure(
    sources: Sequence[Task], targets: Sequence[Task], config: SharedHeadsConfig, seed: int
) -> dict[str, Any]:
    """Train with one combiner, and judge."""
    examples = [task.known for task in sources]
    net = fit_shared(examples, config, seed)
    return {
        "source": source_scores(net, sources),
        "target": target_scores(net, targets, config.ridge),
        "update_ms": 1000 * update_seconds(examples, config),
    }


def as_markdown(found: dict[str, dict[str, Any]]) -> str:
    """A row per combiner."""
    heads = ["", "source mean", "source min", "held-out mean", "held-out min", "time per update"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, one in found.items():
        cells = [
            f"{value:.3f}" for part in ("source", "target") for value in (mean(one[part]), min(one[part]))
        ]
        cells.append(f"{one['update_ms'] / found[PLAIN]['update_ms']:.2f}" if PLAIN in found else "–")
        lines.append(f"| {' | '.join([name, *cells])} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, show, and write if asked to."""
    default = SharedHeadsConfig()
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gradient_surgery", description="Compare combiners of gradients."
    )
    parser.add_argument("--model", type=Path, required=True, help="model folder")
    parser.add_argument("--combiners", nargs="+", default=list(COMBINERS), choices=COMBINERS, help="all")
    parser.add_argument("--labels", type=int, default=1000, help="labels of each task (1000)")
    parser.add_argument("--updates", type=int, default=default.updates, help=f"updates ({default.updates})")
    parser.add_argument("--seed", type=int, default=0, help="of weights and batches (0)")
    parser.add_argument("--raw", action="store_true", help="leave each task's labels in their own units")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    asked = parser.parse_args()
    console, found = Console(stderr=True), dict[str, dict[str, Any]]()
    with threads(1):
        model = Model.load(asked.model, device="cpu")
        split = {
            kind: [
                Task.of(model, name, asked.labels)
                for name, task in model.environment.tasks.items()
                if task.split == kind
            ]
            for kind in ("source", "held_out")
        }
        for name in track(asked.combiners, "training", console=console):
            config = replace(default, combiner=name, updates=asked.updates, standardised=not asked.raw)
            try:
                found[name] = measure(split["source"], split["held_out"], config, asked.seed)
            except USER_ERRORS as error:
                console.print(f"{name} is left out: {error}", markup=False, highlight=False)
    print(as_markdown(found))
    if asked.json:
        settings = {key: str(value) for key, value in vars(asked).items()}
        write_json(asked.json, {"settings": settings, "combiners": found})


if __name__ == "__main__":
    main()
