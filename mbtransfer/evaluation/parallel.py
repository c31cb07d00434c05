"""Parallel evaluation: one run per task and seed, in any number of processes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from mbtransfer.evaluation.config import EvalConfig, EvalContext
from mbtransfer.evaluation.episodes import play_episodes
from mbtransfer.evaluation.results import EpisodeResult
from mbtransfer.labels.labelled_task import LabelledTask
from mbtransfer.runtime.environment import threads
from mbtransfer.runtime.executors import Executor, LocalExecutor
from tasks.recipe import Recipe
from tasks.task import Task


@dataclass(frozen=True)
class Run:
    """One task or recipe with one seed.

    Attributes:
        asked: the recipe or labelled task, or a name; other tasks and what the user's file defines are passed by
            name, because the class of a user's own task exists only in that file.
        seed: seed of start states and planner.
        episodes: number of episodes, run in lockstep.
        kind: `task` or `recipe`.
    """

    asked: str | Recipe | LabelledTask
    seed: int
    episodes: int
    kind: str = "task"

    @property
    def name(self) -> str:
        """Name of the task or recipe."""
        return self.asked if isinstance(self.asked, str) else self.asked.name


def make_runs(
    asked: Sequence[Task | Recipe], seeds: Sequence[int], episodes: int, own: Sequence[Task | Recipe] = ()
) -> list[Run]:
    """One run for each task or recipe and seed; seeds are the inner loop. `own` is what the user's file defines."""

    def run(one: Task | Recipe, seed: int) -> Run:
        if isinstance(one, Task):
            return Run(one if isinstance(one, LabelledTask) else one.name, seed, episodes)
        return Run(one.name if one in own else one, seed, episodes, "recipe")

    return [run(one, seed) for one in asked for seed in dict.fromkeys(seeds)]


def do_run(context: EvalContext, run: Run) -> list[EpisodeResult]:
    """Run the episodes of one run: a pure function of the arguments and the files that they name."""
    with threads(context.config.threads):
        task = what(context, run)
        return [played.result for played in play_episodes(context.controller, task, run.seed, run.episodes)]


def what(context: EvalContext, run: Run) -> Task | Recipe:
    """The task or recipe of a run."""
    return context.find_task_or_recipe(run.asked) if isinstance(run.asked, str) else run.asked


def do_runs(
    context: EvalContext,
    runs: Sequence[Run],
    workers: int | Executor = 1,
    finished: Callable[[Run], None] | None = None,
) -> Iterator[tuple[Run, list[EpisodeResult]]]:
    """Yield every run with its rows, in the order of `runs` for any number of workers.

    Args:
        context: how episodes are run.
        runs: what to do.
        workers: number of processes, or an executor; with one, everything runs in this process.
        finished: called with every run as soon as it is finished, possibly before its turn.
    """
    waiting, results = list(runs), dict[Run, list[EpisodeResult]]()
    executor = LocalExecutor(workers) if isinstance(workers, int) else workers
    _remember(context)
    job = partial(_do_group, context.config)
    for group, found in executor.map(job, _groups(runs, executor.workers)):
        for run, rows in zip(group, found, strict=True):
            results[run] = rows
            if finished:
                finished(run)
        while waiting and waiting[0] in results:
            first = waiting.pop(0)
            yield first, results.pop(first)


def _do_group(config: EvalConfig, group: tuple[Run, ...]) -> list[list[EpisodeResult]]:
    context = _CONTEXT.get(config) or _remember(config.resolve())
    return [do_run(context, run) for run in group]


_CONTEXT: dict[EvalConfig, EvalContext] = {}
"""The context of this process, so that a worker builds it only once."""


def _remember(context: EvalContext) -> EvalContext:
    _CONTEXT.clear()
    _CONTEXT[context.config] = context
    return context


def _groups(runs: Sequence[Run], workers: int) -> list[tuple[Run, ...]]:
    """Group the runs that a worker does in a row: all seeds of a task, so that its reward head is fitted only once.

    Runs are not grouped if that would leave workers idle, or with one worker, where it gains nothing.
    """
    by_name: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        by_name.setdefault((run.kind, run.name), []).append(run)
    if workers == 1 or len(by_name) < 2 * workers:
        return [(run,) for run in runs]
    return [tuple(group) for group in by_name.values()]
