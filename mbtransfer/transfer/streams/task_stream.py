"""A stream of tasks on one model: practise, fine-tune, grow a reward head, and measure all tasks so far.

With `tuning=None` the dynamics are shared and stay as they are: a new task adds a reward head and nothing else, as the
dynamics never see the task. The control is `tuning=VariantConfig("all")`, sequential fine-tuning of all weights
(Wołczyk et al. 2021, "Continual World", section 5); the other variants lie between. See `lifelong.py` for the measures.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.data.episode import Episode
from mbtransfer.errors import UserError
from mbtransfer.evaluation.episodes import play_episodes
from mbtransfer.model import Model
from mbtransfer.mpc.controller import PARTICLES, PLANNER
from mbtransfer.training.adapt import PROBES, practise, split, with_episodes
from mbtransfer.transfer.method import Sources
from mbtransfer.transfer.model.model_transfer import planning
from mbtransfer.transfer.streams.lifelong import (
    average_performance,
    backward_transfer,
    forgetting,
    forward_transfer,
)
from tasks.task import Task
from world_models.adaptation.fine_tuning import VariantConfig, check_variant, fine_tune
from world_models.adaptation.unexplained import unexplained
from world_models.transitions import Transitions

OTHER = 500
"""By how much seeds of test episodes differ from those of practice."""


@dataclass(frozen=True, kw_only=True)
class StreamConfig:
    """How a stream is run.

    Attributes:
        tuning: how the dynamics are fine-tuned to each task; None to leave them as they are.
        practice: episodes of each task to learn from; the first two probe its fixtures.
        episodes: episodes by which success is measured.
        labels: labelled transitions of the pool behind each reward head.
        planner: name of the planner.
        particles: imagined futures per plan.
    """

    tuning: VariantConfig | None = None
    practice: int = 2
    episodes: int = 5
    labels: int = 1000
    planner: str = PLANNER
    particles: int = PARTICLES


@dataclass(frozen=True, eq=False)
class StreamResult:
    """What came of a stream; entries above the diagonal of a matrix are NaN, as those tasks had not come yet.

    Attributes:
        tasks: names of the tasks in order.
        model: the model at the end, with a head for each task.
        success: after learning task i, on task j.
        error: the same for the share of movement of task j's fixtures that the dynamics leave unexplained, in
            probing episodes from which nothing is learned.
        before: success on each task just before it is learned.
    """

    tasks: tuple[str, ...]
    model: Model
    success: Float[ndarray, "N N"]
    error: Float[ndarray, "N N"]
    before: Float[ndarray, " N"]

    @property
    def curves(self) -> Float[ndarray, "N 2"]:
        """Success on each task before and after it is learned."""
        return np.stack([self.before, self.success.diagonal()], axis=1)


def run_stream(model: Model, tasks: Sequence[Task], config: StreamConfig, seed: int = 0) -> StreamResult:
    """Learn the tasks in order.

    Pool and heads grow with each task; heads that are there are never fitted again. The given model stays as it is.

    Args:
        model: the fitted model.
        tasks: the stream.
        config: how.
        seed: of practice, fine-tuning and episodes.

    Raises:
        UserError: no tasks, the same task twice, one that is judged by states, or no episodes.
        ModelError: a setting of the fine-tuning that makes no sense, or more labels than the pool holds.
    """
    _check(model, tasks, config)
    model, scene = replace(model, heads={}), model.environment.make_scene(())
    success = np.full((len(tasks), len(tasks)), np.nan)
    error, before, tests = success.copy(), np.zeros(len(tasks)), list[Transitions]()
    for i, task in enumerate(tasks):
        draw = partial(practise, model, task, scene)
        tests.append(transitions([draw(k, seed + OTHER) for k in range(PROBES)]))
        untaught = replace(
            model, heads=dict(model.heads)
        )  # a head of the pool without the practice is not kept
        before[i] = _success(untaught, task, config, seed)
        model = learned(model, task, [draw(k, seed) for k in range(config.practice)], config.tuning, seed)
        for j, known in enumerate(tasks[: i + 1]):
            success[i, j] = _success(model, known, config, seed)
            error[i, j] = unexplained(model.dynamics, tests[j], judged_columns(model, known))
    return StreamResult(tuple(task.name for task in tasks), model, success, error, before)


def learned(
    model: Model, task: Task, episodes: Sequence[Episode], tuning: VariantConfig | None, seed: int = 0
) -> Model:
    """The model after some episodes of a task: dynamics fine-tuned, pool grown by them, heads as they were."""
    grown = with_episodes(model, episodes)
    if tuning is None:
        return grown
    new, held_out = split(episodes)
    return replace(
        grown, dynamics=fine_tune(model.dynamics, model.pool, new, held_out, tuning, seed).dynamics
    )


def measures(result: StreamResult, alone: Sequence[StreamResult] = ()) -> dict[str, float]:
    """The measures of `lifelong.py`; backward transfer with two tasks or more, forward transfer if `alone` is given.

    Args:
        result: a stream.
        alone: streams of one of its tasks each, in its order, from the model with which it began. What the pool itself
            transfers is thus in both, and forward transfer is that of the tasks before in the stream.

    Raises:
        UserError: `alone` is of other tasks.
    """
    found = {
        "average_performance": average_performance(result.success),
        "forgetting": forgetting(result.success),
    }
    if len(result.tasks) > 1:
        found["backward_transfer"] = backward_transfer(result.success)
    if alone:
        names = tuple(name for one in alone for name in one.tasks)
        if names != result.tasks:
            raise UserError(f"streams of one task each must be of {result.tasks}, not of {names}")
        curves = np.concatenate([one.curves for one in alone])
        found["forward_transfer"] = forward_transfer(result.curves, curves, np.array([0.0, 1.0]))
    return found


def judged_columns(model: Model, task: Task) -> list[int]:
    """Where the error of a task shows: positions of its fixtures, or every column if it has none."""
    return [fixture.position for fixture in task.fixtures] or [*range(model.pool.obs.shape[1])]


def transitions(episodes: Sequence[Episode]) -> Transitions:
    """Every step of some episodes."""
    return Transitions.join(split(episodes))


def _success(model: Model, task: Task, config: StreamConfig, seed: int) -> float:
    sources = Sources(model, (), config.labels, seed)
    controller = planning(sources, model.dynamics, task, config.planner, config.particles)
    played = play_episodes(controller, task, seed, config.episodes)
    return float(np.mean([record.result.success for record in played]))


def _check(model: Model, tasks: Sequence[Task], config: StreamConfig) -> None:
    names = [task.name for task in tasks]
    if not names:
        raise UserError("a stream needs at least one task; name some")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UserError(f"task {twice[0]!r} is in the stream twice; name each task once")
    for task in tasks:
        if task.privileged:
            raise UserError(f"task {task.name!r} is judged by states; a stream labels observations alone")
        if task.continuing:
            raise UserError(f"task {task.name!r} has no success; a stream is measured by it")
    for name in ("practice", "episodes"):
        if getattr(config, name) < 1:
            raise UserError(f"{name} must be at least 1, not {getattr(config, name)}")
    if config.tuning:
        check_variant(config.tuning)
    model.label_count(config.labels)
