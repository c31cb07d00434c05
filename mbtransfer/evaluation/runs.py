"""Evaluation cut into runs (one task or recipe under one seed), done by any number of processes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from mbtransfer.engines import Engine, Local
from mbtransfer.evaluation.asked import find_task
from mbtransfer.evaluation.episodes import play_episodes
from mbtransfer.evaluation.setup import Setup
from mbtransfer.rows import EpisodeResult
from mbtransfer.threads import threads
from tasks.recipe import Recipe
from tasks.task import Task


@dataclass(frozen=True)
class Run:
    """One task or recipe under one seed.

    Attributes:
        asked: what to do. A task of the user's own travels by its name, as its class lives in his file.
        seed: of starts and planner.
        episodes: how many, in lock step.
    """

    asked: str | Recipe
    seed: int
    episodes: int

    @property
    def name(self) -> str:
        """Name of the task or recipe."""
        return self.asked.name if isinstance(self.asked, Recipe) else self.asked

    @property
    def kind(self) -> str:
        """`task` or `recipe`."""
        return "recipe" if isinstance(self.asked, Recipe) else "task"


def make_runs(asked: Sequence[Task | Recipe], seeds: Sequence[int], episodes: int) -> list[Run]:
    """A run for everything that is asked for under every seed; the seeds innermost."""
    return [
        Run(one if isinstance(one, Recipe) else one.name, seed, episodes)
        for one in asked
        for seed in dict.fromkeys(seeds)
    ]


def do_run(setup: Setup, run: Run) -> list[EpisodeResult]:
    """The episodes of one run: a pure function of its arguments and the files that they name."""
    with threads(setup.threads):
        pilot = setup.pilot()
        return [played.result for played in play_episodes(pilot, what(setup, run), run.seed, run.episodes)]


def what(setup: Setup, run: Run) -> Task | Recipe:
    """The task or recipe of a run."""
    if isinstance(run.asked, Recipe):
        return run.asked
    return find_task(setup.environment(), run.asked, setup.own_tasks())


def do_runs(
    setup: Setup,
    runs: Sequence[Run],
    workers: int | Engine = 1,
    finished: Callable[[Run], None] | None = None,
) -> Iterator[tuple[Run, list[EpisodeResult]]]:
    """Every run with its rows, in the order of `runs`, whatever the number of workers.

    Args:
        setup: how episodes are run.
        runs: what to do.
        workers: processes, or an engine; with one, all is done in this one.
        finished: called with every run as soon as it is finished, which may be before its turn.
    """
    waiting, results = list(runs), dict[Run, list[EpisodeResult]]()
    engine = Local(workers) if isinstance(workers, int) else workers
    for group, found in engine.map(partial(_do_group, setup), _groups(runs, engine.workers)):
        for run, rows in zip(group, found, strict=True):
            results[run] = rows
            if finished:
                finished(run)
        while waiting and waiting[0] in results:
            first = waiting.pop(0)
            yield first, results.pop(first)


def _do_group(setup: Setup, group: tuple[Run, ...]) -> list[list[EpisodeResult]]:
    return [do_run(setup, run) for run in group]


def _groups(runs: Sequence[Run], workers: int) -> list[tuple[Run, ...]]:
    """Runs for one worker to do in a row: all seeds of a task, so that its reward head is fitted only once.

    With few tasks that would leave workers idle, and with one worker nothing is gained.
    """
    by_name: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        by_name.setdefault((run.kind, run.name), []).append(run)
    if workers == 1 or len(by_name) < 2 * workers:
        return [(run,) for run in runs]
    return [tuple(group) for group in by_name.values()]
