"""Comparison of transfer methods on the same pool, labels, targets and episodes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from time import perf_counter
from typing import Any

from mbtransfer.evaluation.episodes import decision_latency, play_episodes
from mbtransfer.model import Model
from mbtransfer.transfer.method import Method, Sources, controller_of
from mbtransfer.transfer.runs import RunStore, TransferRun
from tasks.task import Task

DECISIONS, SECONDS = 20, 1.0
"""Actions whose time is measured, and seconds after which fewer will do."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """What is compared.

    Attributes:
        model: the model whose pool all methods share; its environment's source tasks are the sources.
        methods: the methods.
        targets: the tasks to solve.
        labels: labelled transitions behind the reward of each task.
        seeds: seeds of methods and episodes.
        episodes: episodes for each target and seed, to measure success.
        practice: episodes of each target that a method may learn from before.
        code: checksum of the file of each method that is the user's own.
    """

    model: Model
    methods: Sequence[Method[Any]]
    targets: Sequence[Task]
    labels: int
    seeds: Sequence[int]
    episodes: int
    practice: int = 0
    code: Mapping[str, str] = field(default_factory=dict)

    def settings(self, method: Method[Any], target: Task) -> dict[str, Any]:
        """Everything that a run depends on, except its seed."""
        return {
            "model": self.model.digest, "labels": self.labels, "episodes": self.episodes, "practice": self.practice,
            "method": repr(method), "code": self.code.get(method.name, ""), "target": repr(target),
        }  # fmt: skip


def compare(
    asked: Comparison, store: RunStore, finished: Callable[[TransferRun], None] = lambda run: None
) -> list[TransferRun]:
    """Do all runs that the store does not hold; what fails is a result, and the others go on.

    Args:
        asked: what to compare.
        store: holds what was finished before; runs that failed are tried again.
        finished: called with each run.

    Raises:
        UserError: the store holds runs that were made with other settings, or cannot be written.
    """
    runs: list[TransferRun] = []
    plan = [
        (
            method,
            seed,
            [(target, store.read(_blank(asked, method, target, seed))) for target in asked.targets],
        )
        for method, seed in product(asked.methods, asked.seeds)
    ]
    for method, seed, found in plan:
        done = [run for _, run in found if run]
        for run in done:
            finished(run)
        for run in _solved(asked, method, seed, [target for target, run in found if not run]):
            store.write(run)
            finished(run)
            done.append(run)
        runs += done
    return runs


def _blank(asked: Comparison, method: Method[Any], target: Task, seed: int) -> TransferRun:
    """A run before it begins."""
    return TransferRun(
        method=method.name, target=target.name, seed=seed, continuing=target.continuing,
        settings=asked.settings(method, target),
    )  # fmt: skip


def _solved(
    asked: Comparison, method: Method[Any], seed: int, targets: Sequence[Task]
) -> Iterator[TransferRun]:
    """Pretrain once, and yield the run of each target."""
    if not targets:
        return
    model, began, carried, broken = asked.model, perf_counter(), None, None
    # Heads are fitted anew for each method, so that the first one does not pay for the others.
    model = replace(model, heads={})
    tasks = tuple(task for task in model.environment.tasks.values() if task.split == "source")
    try:
        carried = method.pretrain(Sources(model, tasks, asked.labels, seed, asked.practice))
    except Exception as error:
        broken = error
    pretrain_seconds = perf_counter() - began
    for target in targets:
        run = replace(_blank(asked, method, target, seed), pretrain_seconds=pretrain_seconds)
        try:
            yield run.failed_by(broken) if broken else _played(asked, method, carried, target, run)
        except Exception as error:
            yield run.failed_by(error)


def _played(
    asked: Comparison, method: Method[Any], carried: Any, target: Task, run: TransferRun
) -> TransferRun:
    """Solve the target and play its episodes."""
    began = perf_counter()
    solution = method.solve(carried, target)
    seconds = perf_counter() - began
    controller = controller_of(solution, asked.model)
    results = [record.result for record in play_episodes(controller, target, run.seed, asked.episodes)]
    latency = decision_latency(controller, target, decisions=DECISIONS, seconds=SECONDS)
    return replace(
        run, costs=solution.costs, solve_seconds=seconds, action_ms=latency["p50"],
        success=tuple(float(one.success) for one in results), returns=tuple(one.return_ for one in results),
    )  # fmt: skip
