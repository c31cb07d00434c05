"""Comparison of transfer methods on the same pool, labels, targets and episodes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from time import perf_counter
from typing import Any

from mbtransfer.evaluation.episodes import decision_latency, play_episodes
from mbtransfer.model import Model
from mbtransfer.runtime.executors import Executor
from mbtransfer.transfer.comparison.runs import RunStore, TransferRun
from mbtransfer.transfer.comparison.transfer_matrix import with_row
from mbtransfer.transfer.method import Method, Sources, controller_of
from mbtransfer.transfer.registry import LOWER, UPPER
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
        practice: numbers of episodes of each target that a method may learn from before; a method without
            practice is run once for all of them.
        code: checksum of the file of each method that is the user's own.
        matrix: also try what is learned for each target in all others, with the first seed and the least practice.
    """

    model: Model
    methods: Sequence[Method[Any]]
    targets: Sequence[Task]
    labels: int
    seeds: Sequence[int]
    episodes: int
    practice: Sequence[int] = (0,)
    code: Mapping[str, str] = field(default_factory=dict)
    matrix: bool = False

    def settings(self, method: Method[Any], target: Task, practice: int) -> dict[str, Any]:
        """Everything that a run depends on, except its seed."""
        return {
            "model": self.model.digest, "labels": self.labels, "episodes": self.episodes, "practice": practice,
            "method": repr(method), "code": self.code.get(method.name, ""), "target": repr(target),
        }  # fmt: skip

    def blank(self, method: Method[Any], target: Task, seed: int, practice: int) -> TransferRun:
        """A run before it begins."""
        return TransferRun(
            method=method.name, target=target.name, seed=seed, continuing=target.continuing,
            settings=self.settings(method, target, practice), practice=practice,
            without_practice=method.without_practice,
        )  # fmt: skip

    def parts(self) -> "list[Part]":
        """All that is to be done."""
        names = tuple(target.name for target in self.targets)
        counts = sorted(set(self.practice))
        return [
            Part(method.name, seed, count, names)
            for method, seed in product(self.methods, self.seeds)
            for count in ((0,) if method.without_practice else counts)
        ]

    def blanks(self, part: "Part") -> list[TransferRun]:
        """The runs of a part before they begin."""
        method, targets = self._resolved(part)
        return [self.blank(method, target, part.seed, part.practice) for target in targets]

    def runs(self, part: "Part") -> Iterator[TransferRun]:
        """Pretrain once, and yield the run of each target; what fails is a result, and the others go on."""
        method, targets = self._resolved(part)
        model, began, carried, broken = self.model, perf_counter(), None, None
        # Heads are fitted anew for each method, so that the first one does not pay for the others.
        model = replace(model, heads={})
        tasks = tuple(task for task in model.environment.tasks.values() if task.split == "source")
        try:
            carried = method.pretrain(Sources(model, tasks, self.labels, part.seed, part.practice))
        except Exception as error:
            broken = error
        pretrain_seconds = perf_counter() - began
        for target in targets:
            run = replace(
                self.blank(method, target, part.seed, part.practice), pretrain_seconds=pretrain_seconds
            )
            try:
                yield run.failed_by(broken) if broken else self._played(method, carried, target, run)
            except Exception as error:
                yield run.failed_by(error)

    def others(self, run: TransferRun) -> list[Task]:
        """Where else what is learned in a run is tried: for the matrix, targets that can succeed; else nowhere."""
        first = run.seed == self.seeds[0] and (run.without_practice or run.practice == min(self.practice))
        if not self.matrix or not first or run.continuing or run.method in (LOWER.name, UPPER.name):
            return []
        return [task for task in self.targets if task.name != run.target and not task.continuing]

    def complete(self, run: TransferRun) -> bool:
        """The run has its row of the matrix, if one is asked for."""
        return {task.name for task in self.others(run)} <= run.elsewhere.keys()

    def _resolved(self, part: "Part") -> tuple[Method[Any], list[Task]]:
        method = next(method for method in self.methods if method.name == part.method)
        by_name = {target.name: target for target in self.targets}
        return method, [by_name[name] for name in part.targets]

    def _played(self, method: Method[Any], carried: Any, target: Task, run: TransferRun) -> TransferRun:
        """Solve the target and play its episodes."""
        began = perf_counter()
        solution = method.solve(carried, target)
        seconds = perf_counter() - began
        controller = controller_of(solution, self.model)
        results = [record.result for record in play_episodes(controller, target, run.seed, self.episodes)]
        latency = decision_latency(controller, target, decisions=DECISIONS, seconds=SECONDS)
        played = replace(
            run, costs=solution.costs, solve_seconds=seconds, action_ms=latency["p50"],
            success=tuple(float(one.success) for one in results), returns=tuple(one.return_ for one in results),
        )  # fmt: skip
        others = self.others(run)
        return with_row(played, controller, target, others, self.episodes) if others else played


@dataclass(frozen=True)
class Part:
    """What shares one pretraining: a method with one seed and one number of practice episodes, in some targets.

    It has names alone, so that it can be sent to another process.
    """

    method: str
    seed: int
    practice: int
    targets: tuple[str, ...]


Job = Callable[[Part], list[TransferRun]]
"""Does a part in another process."""


def compare(
    asked: Comparison, store: RunStore, finished: Callable[[TransferRun], None] = lambda run: None,
    executor: Executor | None = None, job: Job | None = None,
) -> list[TransferRun]:  # fmt: skip
    """Do all runs that the store does not hold; what fails is a result, and the others go on.

    Args:
        asked: what to compare.
        store: holds what was finished before; runs that failed are tried again.
        finished: called with each run, as soon as it is there.
        executor: where to run; None for this process.
        job: how another process does a part; needed if there are several.

    Returns:
        The runs in the order of methods, seeds, practice and targets.

    Raises:
        UserError: the store holds runs that were made with other settings, or cannot be written.
    """
    parts, found = asked.parts(), dict[tuple[Any, ...], TransferRun]()
    blanks = {part: asked.blanks(part) for part in parts}
    for blank in (one for part in parts for one in blanks[part]):
        if (run := store.read(blank)) and asked.complete(run):
            found[run.key] = run
            finished(run)
    missing = [
        replace(part, targets=tuple(blank.target for blank in blanks[part] if blank.key not in found))
        for part in parts
    ]
    missing = [part for part in missing if part.targets]

    def keep(run: TransferRun) -> None:
        store.write(run)
        found[run.key] = run
        finished(run)

    if executor is None or job is None or executor.workers == 1:
        for part in missing:
            for run in asked.runs(part):
                keep(run)
    else:
        for _, runs in executor.map(job, _pieces(missing, executor.workers)):
            for run in runs:
                keep(run)
    return [found[blank.key] for part in parts for blank in blanks[part]]


def do_part(asked: Comparison, store: RunStore, part: Part) -> list[TransferRun]:
    """Do a part, and write each run at once where the output folder is seen, so that little is lost with a process."""
    runs = []
    for run in asked.runs(part):
        if store.visible:
            store.write(run)
        runs.append(run)
    return runs


def _pieces(parts: list[Part], workers: int) -> list[Part]:
    """The parts, or pieces of them if there are too few for all workers; each piece pretrains anew."""
    if not parts or len(parts) >= 2 * workers:
        return parts
    count = -(-2 * workers // len(parts))
    return [
        replace(part, targets=piece)
        for part in parts
        for first in range(count)
        if (piece := part.targets[first::count])
    ]
