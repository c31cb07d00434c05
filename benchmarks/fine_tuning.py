"""What fine-tuning learns and forgets: `python -m benchmarks.fine_tuning --model MODEL --tasks light_on`.

MODEL should know nothing of the tasks' fixtures, as the demo's `locked` model does: light switch, slide cabinet and
microwave could not be moved in its data. Every variant learns from the same practice episodes of a task, which the
given model has played. Adaptation is the share of movement of the task's fixtures that the model leaves unexplained in
other episodes, and with `--success` success in the task. Forgetting is the same share for all columns, on a tenth of
the pool that no variant sees. `adapt` is the method of `mbtransfer adapt`, for comparison.
"""

import argparse
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from mbtransfer.data.episode import Episode
from mbtransfer.evaluation.episodes import play_episodes
from mbtransfer.model import Model
from mbtransfer.runtime.environment import threads
from mbtransfer.runtime.files import write_json
from mbtransfer.training.adapt import practise, split, with_episodes
from mbtransfer.transfer.method import Sources
from mbtransfer.transfer.model.model_transfer import planning
from mbtransfer.transfer.streams.task_stream import judged_columns, transitions
from tasks.task import Task
from world_models.adaptation.adapt import adapt, rescale
from world_models.adaptation.fine_tuning import VARIANTS, VariantConfig, fine_tune
from world_models.adaptation.unexplained import unexplained
from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.transitions import Transitions

NAMES = (*VARIANTS, "adapt")

TESTED = 4
"""Other episodes of each task that judge: three probe its fixtures, one plans with noise."""

OTHER = 500
"""By how much their seeds differ from those of practice."""


@dataclass(frozen=True, eq=False)
class Work:
    """The same for all variants: what they learn from, and who judges.

    Attributes:
        model: the given model, without the judging tenth of its pool.
        practice: episodes to learn from, in order.
        new, old: transitions that judge adaptation and forgetting.
    """

    model: Model
    task: Task
    practice: list[Episode]
    new: Transitions
    old: Transitions
    seed: int

    @classmethod
    def of(cls, model: Model, task: Task, most: int, seed: int) -> "Work":
        """Play all episodes with the given model."""
        scene = model.environment.make_scene(())
        practice = [practise(model, task, scene, k, seed) for k in range(most)]
        tests = [practise(model, task, scene, k, seed + OTHER) for k in range(TESTED)]
        kept, old = held_apart(model.pool)
        model = model.with_dynamics(model.dynamics, pool=kept, heads={})
        return cls(model, task, practice, transitions(tests).to(model.device), old, seed)

    def errors(self, dynamics: EnsembleDynamics) -> dict[str, float]:
        """Shares of movement left unexplained."""
        every = range(self.old.obs.shape[1])
        columns = judged_columns(self.model, self.task)
        return {
            "new": unexplained(dynamics, self.new, columns),
            "old": unexplained(dynamics, self.old, every),
        }


def held_apart(pool: Transitions) -> tuple[Transitions, Transitions]:
    """The pool without a random tenth, and that tenth."""
    rows = torch.randperm(len(pool), generator=torch.Generator().manual_seed(0)).to(pool.obs.device)
    cut = max(1, len(pool) // 10)
    return pool[rows[cut:]], pool[rows[:cut]]


def tuned(work: Work, variant: str, count: int) -> EnsembleDynamics:
    """The given dynamics, fine-tuned on the first so many episodes; as they are for none."""
    model = work.model
    if not count:
        return model.dynamics
    new, held_out = split(work.practice[:count])
    if variant == "adapt":
        return adapt(model.dynamics, model.pool, new, held_out, seed=work.seed).dynamics
    config = VariantConfig(variant)  # type: ignore[arg-type]
    dynamics = deepcopy(model.dynamics)
    rescale(dynamics, new)  # as `adapt` does: what never moved has no scale yet
    return fine_tune(dynamics, model.pool, new, held_out, config, work.seed).dynamics


def measure(work: Work, variant: str, count: int, success: int, labels: int) -> dict[str, float]:
    """Errors, seconds of processor time, and the share of `success` episodes that succeed (NaN for none)."""
    began = process_time()
    dynamics = tuned(work, variant, count)
    found = {"seconds": process_time() - began, **work.errors(dynamics), "success": float("nan")}
    if success:
        grown = with_episodes(work.model, work.practice[:count]) if count else work.model
        grown = replace(grown, heads={})  # a head of the pool alone has never seen what the episodes show
        controller = planning(Sources(grown, (), labels, work.seed), dynamics, work.task)
        played = play_episodes(controller, work.task, work.seed, success)
        found["success"] = float(np.mean([record.result.success for record in played]))
    return found


def as_markdown(found: dict[str, dict[int, list[dict[str, float]]]]) -> str:
    """One line for each variant: means over tasks and seeds, for each number of episodes."""
    counts = list(next(iter(found.values())))
    shown = [("new", "new error"), ("old", "old error"), ("success", "success"), ("seconds", "seconds")]
    heads = ["variant", *(f"{words}, {' / '.join(map(str, counts))}" for _, words in shown)]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for variant, runs in found.items():
        cells = [
            " / ".join(_number(np.mean([run[key] for run in runs[count]])) for count in counts)
            for key, _ in shown
        ]
        lines.append(f"| {' | '.join([variant, *cells])} |")
    return "\n".join(lines)


def _number(value: Any) -> str:
    return "–" if np.isnan(value) else f"{value:.2f}" if value < 10 else f"{value:.0f}"


def run(
    model: Model, tasks: Sequence[Task], counts: Sequence[int], seeds: Sequence[int], variants: Sequence[str],
    success: int, labels: int,
) -> dict[str, dict[int, list[dict[str, float]]]]:  # fmt: skip
    """Every variant after every number of episodes, for every task and seed; without episodes all are the same."""
    found: dict[str, dict[int, list[dict[str, float]]]] = {name: {n: [] for n in counts} for name in variants}
    todo = [(task, seed) for task in tasks for seed in seeds]
    for task, seed in track(todo, "fine-tuning", console=Console(stderr=True)):
        work = Work.of(model, task, max(counts), seed)
        for count in counts:
            once = measure(work, variants[0], 0, success, labels) if not count else None
            for variant in variants:
                found[variant][count].append(once or measure(work, variant, count, success, labels))
    return found


def main() -> None:
    """Measure, show, and write if asked to."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fine_tuning", description="Compare variants of fine-tuning."
    )
    parser.add_argument(
        "--model", type=Path, required=True, help="folder of a model, such as the demo's `locked`"
    )
    parser.add_argument("--tasks", nargs="+", default=["light_on"], help="tasks to learn (light_on)")
    parser.add_argument(
        "--episodes", type=int, nargs="+", default=[0, 2, 5], help="practice episodes (0 2 5)"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of practice and fine-tuning (0)")
    parser.add_argument("--variants", nargs="+", default=list(NAMES), choices=NAMES, help="all")
    parser.add_argument(
        "--success", type=int, default=0, metavar="N", help="play N episodes of each task, too (0)"
    )
    parser.add_argument("--labels", type=int, default=1000, help="labels behind reward heads (1000)")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    asked = parser.parse_args()
    if min(asked.episodes) < 0 or not max(asked.episodes) or asked.success < 0:
        parser.error("--episodes needs numbers from 0, one of them above it, and --success a number from 0")
    with threads(1):
        model = Model.load(asked.model, device="cpu")
        tasks = [model.environment.task(name) for name in asked.tasks]
        found = run(model, tasks, asked.episodes, asked.seeds, asked.variants, asked.success, asked.labels)
    print(as_markdown(found))
    if asked.json:
        write_json(asked.json, {"tasks": asked.tasks, "seeds": asked.seeds, "variants": found})


if __name__ == "__main__":
    main()
