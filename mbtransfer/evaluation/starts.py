"""How evaluated episodes start: at random, with everything that is asked for still to be done."""

import hashlib

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray

from mbtransfer.collecting.runner import fresh_states
from tasks.errors import TaskError
from tasks.recipe.model import Recipe
from tasks.scene import Scene
from tasks.spec import Fixture
from tasks.task import FAR, AllOf, Move, Task

DRAWS = 32
"""Starts drawn at once when a fixture is put away from its target."""


def stream(name: str, seed: int) -> np.random.SeedSequence:
    """The randomness of one task or recipe under one seed; the same on every machine and in every process."""
    if seed < 0:
        raise TaskError(f"seed {seed} is negative; give a whole number from 0")
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.SeedSequence([seed, int.from_bytes(digest[:8], "little")])


def task_starts(scene: Scene, task: Task, seed: int, n: int) -> Float[ndarray, "n S"]:
    """Random starts from which the task is still to be done; the same for the same seed.

    Raises:
        TaskError: hardly any start leaves the task undone.
    """
    return fresh_states(scene, task, np.random.default_rng(stream(task.name, seed)), n)


def recipe_starts(scene: Scene, recipe: Recipe, seed: int, n: int) -> Float[ndarray, "n S"]:
    """Random starts in which every fixture is away from the first target that the recipe has for it."""
    rng = np.random.default_rng(stream(recipe.name, seed))
    targets = first_targets(recipe)
    starts = []
    for _ in range(n):
        place = {fixture.name: _away(scene, fixture, to, rng) for fixture, to in targets.items()}
        starts.append(scene.sample_states(rng, 1, place)[0])
    return np.stack(starts)


def first_targets(recipe: Recipe) -> dict[Fixture, float]:
    """Each fixture that the recipe moves, and where the first step that moves it wants it."""
    targets: dict[Fixture, float] = {}
    for step in recipe.steps:
        for part in moves_of(step.task):
            targets.setdefault(part.fixture, part.to)
    return targets


def moves_of(task: Task) -> tuple[Move, ...]:
    """The moves that a task is made of; none when it is something else."""
    if isinstance(task, AllOf):
        return task.parts
    return (task,) if isinstance(task, Move) else ()


def _away(scene: Scene, fixture: Fixture, to: float, rng: np.random.Generator) -> float:
    """A position as it occurs in random starts, at least `FAR` of the range from the target."""
    drawn = scene.observe(scene.sample_states(rng, DRAWS))[:, fixture.position]
    uniform = rng.uniform(fixture.low, fixture.high, DRAWS)
    ends = np.array([fixture.low, fixture.high])
    values = np.concatenate([drawn, uniform, ends[np.argsort(-np.abs(ends - to))]])
    far: Bool[ndarray, " n"] = np.abs(values - to) >= FAR * fixture.span
    return float(values[far][0])


def as_tensor(obs: Float[ndarray, "B O"], device: torch.device | str) -> Float[torch.Tensor, "B O"]:
    """Observations for model, planner and tasks."""
    return torch.from_numpy(np.ascontiguousarray(obs, np.float32)).to(device)
