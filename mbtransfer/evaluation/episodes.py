"""Episodes of tasks and recipes under a seed, in this process."""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.evaluation.pilot import Pilot
from mbtransfer.evaluation.play import Played, Watch, play
from mbtransfer.evaluation.recipe_script import RecipeScript
from mbtransfer.evaluation.scripts import Script, TaskScript
from mbtransfer.evaluation.starts import recipe_starts, stream, task_starts
from mbtransfer.rows import EpisodeResult
from tasks.recipe.model import Recipe
from tasks.task import Task


def play_episodes(
    pilot: Pilot, asked: Task | Recipe, seed: int, episodes: int, watch: Watch | None = None
) -> list[Played]:
    """Episodes of one task or recipe under one seed, in lock step; the same for the same seed.

    Raises:
        TaskError: no start leaves the task undone, or a negative seed.
        PlannerError: no such planner or setting, or no finite plan.
    """
    pilot = pilot.ready_for(asked)
    script, states = script_of(pilot, asked), starts_of(pilot, asked, seed, episodes)
    agent_seed = int(stream(asked.name, seed).generate_state(1)[0])
    return play(pilot, script, states, seed=seed, agent_seed=agent_seed, watch=watch)


def script_of(pilot: Pilot, asked: Task | Recipe) -> Script:
    """A task or recipe as what the episodes of `play` follow; fits its rewards where they are learned."""
    spec = pilot.environment.spec
    if isinstance(asked, Recipe):
        return RecipeScript(asked, pilot.rewards, spec.action_size)
    return TaskScript(asked, pilot.rewards([asked]), spec.episode_steps)


def starts_of(pilot: Pilot, asked: Task | Recipe, seed: int, episodes: int) -> Float[ndarray, "n S"]:
    """Where the episodes of a task or recipe start under a seed: all of it is still to be done."""
    if isinstance(asked, Recipe):
        return recipe_starts(pilot.scene, asked, seed, episodes)
    return task_starts(pilot.scene, asked, seed, episodes)


def evaluate_tasks(
    pilot: Pilot, tasks: Sequence[Task], *, episodes: int = 10, seeds: Iterable[int] = (0,)
) -> list[EpisodeResult]:
    """Rows of every task under every seed, in this process; tasks outermost.

    Raises:
        TaskError: no start leaves a task undone, or a negative seed.
        PlannerError: no such planner or setting, or no finite plan.
    """
    return _evaluate(pilot, tasks, episodes, seeds)


def evaluate_recipes(
    pilot: Pilot, recipes: Sequence[Recipe], *, episodes: int = 10, seeds: Iterable[int] = (0,)
) -> list[EpisodeResult]:
    """Rows of every recipe under every seed, in this process; recipes outermost.

    Raises:
        TaskError: a negative seed.
        PlannerError: no such planner or setting, or no finite plan.
    """
    return _evaluate(pilot, recipes, episodes, seeds)


def _evaluate(
    pilot: Pilot, asked: Sequence[Task | Recipe], episodes: int, seeds: Iterable[int]
) -> list[EpisodeResult]:
    chosen = tuple(seeds)
    return [
        played.result
        for one in asked
        for seed in chosen
        for played in play_episodes(pilot, one, seed, episodes)
    ]


def success_rate(rows: Sequence[EpisodeResult]) -> float:
    """Share of the episodes that succeeded; NaN of none."""
    return float(np.mean([row.success for row in rows])) if rows else float("nan")
