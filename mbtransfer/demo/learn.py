"""Learning: collect without reward, fit, let the planner collect where it errs, fit again."""

from pathlib import Path

import torch
from rich.console import Console

from mbtransfer.collecting.collect import collect, missing, open_dataset
from mbtransfer.collecting.planned import weights_digest
from mbtransfer.collecting.units import Planning, Unit, plan_units
from mbtransfer.commands.progress import epochs_bar
from mbtransfer.dataset import Dataset
from mbtransfer.fitting import fit_model
from mbtransfer.model import Model
from mbtransfer.progress import progress_bar
from mbtransfer.tracking import SILENT, Tracker
from tasks.environment import Environment
from world_models.learning.fit import FitConfig

ON_POLICY = 0.02
"""Share of the control steps that the planner collects with the first model."""

EPISODE_STEPS = 30
NEAR = 0.7
"""Share of scripted episodes that start with the hand close to a handle: contact is what must be learned."""

CANDIDATES = 48
"""Plans compared while the planner collects: rough plans do, as noise is added to them anyway."""


def gather(
    environment: Environment, folder: Path, units: list[Unit], workers: int, console: Console
) -> Dataset:
    """Do the units with a progress bar."""
    dataset = open_dataset(environment, str(folder))
    total = sum(unit.total_steps for unit in units)
    left = sum(unit.total_steps for unit in missing(dataset, units))
    with progress_bar(console, "collecting", total, "steps", total - left) as advance:
        collect(environment, dataset, units, workers, lambda unit: advance(unit.total_steps))
    return dataset


def scripted(steps: int, seed: int, locked: tuple[str, ...] = ()) -> list[Unit]:
    """Babbling, reaching and noise: no model, no reward."""
    return plan_units(steps, seed, episode_steps=EPISODE_STEPS, near=NEAR, locked=locked)


def on_policy(steps: int, seed: int, environment: Environment, model: Path) -> list[Unit]:
    """The planner on source tasks, and the same with a bonus for what the model does not know."""
    tasks = tuple(name for name, task in environment.tasks.items() if task.split == "source")
    digest = weights_digest(model, environment)
    planning = Planning(model=str(model), model_digest=digest, noise=0.3, candidates=CANDIDATES, particles=2)
    return plan_units(
        steps, seed, {"planner": 0.75, "explore": 0.25}, episode_steps=50, unit_episodes=14, tasks=tasks,
        near=0.0, planning=planning,
    )  # fmt: skip


def train(
    environment: Environment, dataset: Dataset, out: Path, seed: int, epochs: int, threads: int,
    tracker: Tracker = SILENT,
) -> Model:  # fmt: skip
    """Fit with a progress bar, on all cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with epochs_bar(epochs, tracker=tracker) as show:
            return fit_model(
                environment, dataset, out, seed=seed, settings=FitConfig(epochs=epochs), report=show
            )
    finally:
        torch.set_num_threads(before)
