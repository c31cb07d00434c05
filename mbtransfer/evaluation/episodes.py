"""Evaluation episodes of tasks and recipes under given seeds."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from time import perf_counter

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from mbtransfer.evaluation.monitors import RecipeScript, TaskMonitor, TaskScript
from mbtransfer.evaluation.results import EpisodeResult
from mbtransfer.evaluation.rollout import EpisodeRecord, StepCallback, as_tensor, play
from mbtransfer.mpc.controller import Controller
from tasks.combinators import moves_of
from tasks.errors import TaskError
from tasks.recipe.recipe import Recipe
from tasks.simulator import Simulator
from tasks.spec import Fixture
from tasks.task import FAR, Task
from tasks.task_starts import fresh_states


def play_episodes(
    controller: Controller, asked: Task | Recipe, seed: int, episodes: int, watch: StepCallback | None = None
) -> list[EpisodeRecord]:
    """Run the episodes of one task or recipe with one seed in lockstep; the same seed gives the same episodes.

    Raises:
        TaskError: no start state leaves the task unsolved, or a negative seed.
        PlannerError: no such planner or setting, or no finite plan.
    """
    controller = controller.ready_for(asked)
    monitor, states = script_of(controller, asked), starts_of(controller, asked, seed, episodes)
    agent_seed = int(stream(asked.name, seed).generate_state(1)[0])
    return play(controller, monitor, states, seed=seed, agent_seed=agent_seed, watch=watch)


def script_of(controller: Controller, asked: Task | Recipe) -> TaskMonitor:
    """The monitor of a task or recipe for `play`; fits the reward heads if rewards are learned."""
    spec = controller.environment.spec
    if isinstance(asked, Recipe):
        return RecipeScript(asked, controller.rewards, spec.action_size)
    return TaskScript(asked, controller.rewards([asked]), spec.episode_steps)


def starts_of(
    controller: Controller, asked: Task | Recipe, seed: int, episodes: int
) -> Float[ndarray, "n S"]:
    """Start states of the episodes of a task or recipe for a seed, in which nothing of it is done yet."""
    if isinstance(asked, Recipe):
        return recipe_starts(controller.scene, asked, seed, episodes)
    return task_starts(controller.scene, asked, seed, episodes)


def evaluate_tasks(
    controller: Controller, tasks: Sequence[Task], *, episodes: int = 10, seeds: Iterable[int] = (0,)
) -> list[EpisodeResult]:
    """Run every task with every seed in this process and return the rows, task by task.

    Raises:
        TaskError: no start state leaves a task unsolved, or a negative seed.
        PlannerError: no such planner or setting, or no finite plan.
    """
    return _evaluate(controller, tasks, episodes, seeds)


def evaluate_recipes(
    controller: Controller, recipes: Sequence[Recipe], *, episodes: int = 10, seeds: Iterable[int] = (0,)
) -> list[EpisodeResult]:
    """Run every recipe with every seed in this process and return the rows, recipe by recipe.

    Raises:
        TaskError: a negative seed.
        PlannerError: no such planner or setting, or no finite plan.
    """
    return _evaluate(controller, recipes, episodes, seeds)


def _evaluate(
    controller: Controller, asked: Sequence[Task | Recipe], episodes: int, seeds: Iterable[int]
) -> list[EpisodeResult]:
    chosen = tuple(seeds)
    return [
        played.result
        for one in asked
        for seed in chosen
        for played in play_episodes(controller, one, seed, episodes)
    ]


def success_rate(rows: Sequence[EpisodeResult]) -> float:
    """Share of successful episodes; NaN if there are none."""
    return float(np.mean([row.success for row in rows])) if rows else float("nan")


DECISIONS = 50
LEAST = 10
SECONDS = 3.0
"""Time limit of a measurement in seconds; at least `LEAST` decisions are measured in any case."""

WARM_UP = 3
"""Number of first decisions that do not count, because memory is still being allocated."""


def decision_latency(
    controller: Controller, asked: Task | Recipe, *, decisions: int = DECISIONS, seconds: float = SECONDS
) -> dict[str, float]:
    """Percentiles of the time of one decision in a batch of one, milliseconds: `p50`, `p95`, `p99`.

    `first` is the time of the very first decision, which includes any warm-up, such as compilation.
    """
    first, *times = _timed(controller, asked, decisions, seconds)
    shares = np.percentile(times[WARM_UP - 1 :], [50, 95, 99])
    return {
        name: float(value)
        for name, value in zip(("p50", "p95", "p99", "first"), [*shares, first], strict=True)
    }


def decision_times(controller: Controller, asked: Task | Recipe) -> list[float]:
    """The times of some decisions in a batch of one, milliseconds, without those of the warm-up."""
    return _timed(controller, asked, DECISIONS, SECONDS)[WARM_UP:]


def _timed(controller: Controller, asked: Task | Recipe, decisions: int, seconds: float) -> list[float]:
    """The times of decisions, the first ones included, milliseconds; at least `LEAST` beyond the warm-up."""
    controller = replace(controller.ready_for(asked), clock=None)  # every action is a decision
    monitor, state = script_of(controller, asked), starts_of(controller, asked, 0, 1)
    agent, times, begun = controller.agent(0), list[float](), state
    obs = as_tensor(controller.scene.observe(state), controller.device)
    monitor.begin(obs)
    goal, start = monitor.goal(), perf_counter()
    while len(times) < WARM_UP + decisions:
        if len(times) >= WARM_UP + LEAST and perf_counter() - start > seconds:
            break
        begin = perf_counter()
        action = agent.act(obs, state, goal).cpu().numpy()
        times.append(1e3 * (perf_counter() - begin))
        after = controller.scene.rollout(state, action[:, None])[:, 0]
        state = after if np.isfinite(after).all() else begun  # the episode is over: restart it
        obs = as_tensor(controller.scene.observe(state), controller.device)
    return times


DRAWS = 32
"""Number of start states drawn at once to place a fixture away from its target."""


def stream(name: str, seed: int) -> np.random.SeedSequence:
    """Seed sequence of one task or recipe and seed; the same on every machine and in every process."""
    if seed < 0:
        raise TaskError(f"seed {seed} is negative; give a whole number from 0")
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.SeedSequence([seed, int.from_bytes(digest[:8], "little")])


def task_starts(scene: Simulator, task: Task, seed: int, n: int) -> Float[ndarray, "n S"]:
    """Random start states in which the task is not yet solved; the same seed gives the same states.

    Raises:
        TaskError: hardly any start state leaves the task unsolved.
    """
    return fresh_states(scene, task, np.random.default_rng(stream(task.name, seed)), n)


def recipe_starts(scene: Simulator, recipe: Recipe, seed: int, n: int) -> Float[ndarray, "n S"]:
    """Random start states in which every fixture is away from its first target in the recipe."""
    rng = np.random.default_rng(stream(recipe.name, seed))
    targets = first_targets(recipe)
    starts = []
    for _ in range(n):
        place = {fixture.name: _away(scene, fixture, to, rng) for fixture, to in targets.items()}
        starts.append(scene.sample_states(rng, 1, place)[0])
    return np.stack(starts)


def first_targets(recipe: Recipe) -> dict[Fixture, float]:
    """Each fixture that the recipe moves, with its target in the first step that moves it."""
    targets: dict[Fixture, float] = {}
    for step in recipe.steps:
        for part in moves_of(step.task):
            targets.setdefault(part.fixture, part.to)
    return targets


def _away(scene: Simulator, fixture: Fixture, to: float, rng: np.random.Generator) -> float:
    """A position at least `FAR` of the range from the target, preferably one that occurs in random starts."""
    drawn = scene.observe(scene.sample_states(rng, DRAWS))[:, fixture.position]
    uniform = rng.uniform(fixture.low, fixture.high, DRAWS)
    ends = np.array([fixture.low, fixture.high])
    values = np.concatenate([drawn, uniform, ends[np.argsort(-np.abs(ends - to))]])
    far: Bool[ndarray, " n"] = np.abs(values - to) >= FAR * fixture.span
    return float(values[far][0])
