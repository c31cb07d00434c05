"""Where planners are compared: the kitchen by learned model, two tasks of dm_control by the true simulator."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.planner_table.dm_scene import SUITES
from benchmarks.random_recipes import random_recipe
from mbtransfer.model import LABELS, Model
from mbtransfer.mpc.controller import Controller, model_controller, simulator_controller
from tasks.recipe import Recipe
from tasks.task import Task

CHAINS, CHAINS_SEED = 6, 2024
"""Random recipes of source tasks; held-out tasks are never looked at, so that nothing is chosen by them."""

Pilots = Callable[[str, Mapping[str, int | float]], list[Controller]]
"""One for each model, from the name of a planner and its settings."""


@dataclass(frozen=True)
class World:
    """Where, on what and how often each planner is tried.

    Attributes:
        name: `kitchen`, `cartpole` or `walker`.
        horizon: control steps that plans look ahead.
        learned: plans are followed by a learned model, which has gradients and tells success.
        asked: tasks and recipes.
        pilots: who tries.
        episodes: of everything asked, for each model and seed.
        seeds: of the episodes.
        models: digests of the learned models.
        steps: control steps of an episode, as its authors count; 0 where episodes end when all is done.
    """

    name: str
    horizon: int
    learned: bool
    asked: tuple[Task | Recipe, ...]
    pilots: Pilots
    episodes: int
    seeds: tuple[int, ...]
    models: tuple[str, ...] = ()
    steps: int = 0

    def protocol(self) -> dict[str, Any]:
        """What the numbers depend on, apart from planner and budget."""
        return {
            "asked": [one.name for one in self.asked], "episodes": self.episodes, "seeds": list(self.seeds),
            "models": list(self.models), "steps": self.steps,
        }  # fmt: skip


def kitchen(folders: Sequence[Path], episodes: int, seeds: Sequence[int]) -> World:
    """Source tasks and random chains of them, by learned dynamics and learned reward heads.

    Raises:
        ModelError: a model cannot be read.
    """
    models = [Model.load(folder, device="cpu") for folder in folders]
    environment, rng = models[0].environment, random.Random(CHAINS_SEED)
    tasks = [task for task in environment.tasks.values() if task.split == "source"]
    chains = [random_recipe(environment, f"chain-{i}", "source", rng) for i in range(CHAINS)]

    def pilots(planner: str, settings: Mapping[str, int | float]) -> list[Controller]:
        return [_learned(model, planner, settings) for model in models]

    asked, digests = (*tasks, *chains), tuple(model.digest for model in models)
    return World("kitchen", 10, True, asked, pilots, episodes, tuple(seeds), digests)


def _learned(model: Model, planner: str, settings: Mapping[str, int | float]) -> Controller:
    labels = min(LABELS, len(model.pool))
    rewards = partial(model.rewards, labels=labels)
    return model_controller(
        model.environment, model.dynamics, rewards=rewards, labels=labels, planner=planner, settings=settings
    )


def dm_control(name: str, episodes: int, seeds: Sequence[int]) -> World:
    """A task of dm_control, by the true simulator and the true reward."""
    suite = SUITES[name]
    environment = suite.environment()

    def pilots(planner: str, settings: Mapping[str, int | float]) -> list[Controller]:
        return [simulator_controller(environment, planner=planner, settings=settings)]

    asked = tuple(environment.tasks.values())
    return World(name, suite.horizon, False, asked, pilots, episodes, tuple(seeds), steps=suite.steps)
