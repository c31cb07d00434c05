"""Run collection jobs in parallel and append their episodes to a dataset."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from mbtransfer.collection.jobs import MIXES, PLANNING, CollectionJob, plan_units
from mbtransfer.collection.planning_policy import planned
from mbtransfer.collection.policies import Behaviour, Noise, Played, babbling
from mbtransfer.collection.rollout import branch, run_lockstep, sample_starts
from mbtransfer.data import Dataset, Header
from mbtransfer.data.episode import Episode
from mbtransfer.data.header import keep_declaration
from mbtransfer.runtime.environment import threads
from mbtransfer.runtime.executors import Executor, LocalExecutor
from tasks.environment import Environment
from tasks.registry import make
from tasks.simulator import Simulator

__all__ = [
    "CollectionJob",
    "collect",
    "collect_data",
    "missing",
    "open_dataset",
    "plan_units",
    "run_unit",
]


def open_dataset(environment: Environment, path: str) -> Dataset:
    """Open the dataset to collect into, or create it.

    Raises:
        UserError: the folder holds something else, or cannot be written.
    """
    dataset = Dataset.open_or_create(path, Header.of(environment.spec, environment.make_scene(()).state_size))
    keep_declaration(dataset.path, environment)
    return dataset


def collect_data(
    environment: Environment, path: str | Path, steps: int, *, seed: int = 0,
    shares: Mapping[str, float] | None = None, episode_steps: int = 60, locked: tuple[str, ...] = (),
    near: float = 0.5, workers: int = 1,
) -> Dataset:  # fmt: skip
    """Collect at least `steps` control steps with behaviours that need no model; see `plan_units`.

    A repeated call collects what is missing, so that a killed program can continue.

    Args:
        environment: a registered environment.
        path: folder of the dataset, new or existing.
        steps: total number of control steps, rounded up to whole episodes.
        seed: random seed; another one adds other episodes.
        shares: share of each behaviour; None for mostly handle babbling, or noise if there are no fixtures.
        episode_steps: control steps per episode.
        locked: names of fixtures that cannot be moved.
        near: share of episodes that start with the hand close to a handle.
        workers: number of processes; the data do not depend on it.

    Raises:
        UserError: an invalid number, or a folder that holds something else or cannot be written.
    """
    mix = shares or MIXES["scripted" if environment.spec.fixtures else "bare scripted"]
    units = plan_units(steps, seed, mix, episode_steps=episode_steps, locked=locked, near=near)
    dataset = open_dataset(environment, str(path))
    collect(environment, dataset, units, workers)
    return dataset


def missing(dataset: Dataset, units: Sequence[CollectionJob]) -> list[CollectionJob]:
    """The units that are not in the dataset yet."""
    return [unit for unit in units if unit.key not in dataset]


def collect(
    environment: Environment, dataset: Dataset, units: Sequence[CollectionJob],
    workers: int | Executor = 1, progress: Callable[[CollectionJob], None] | None = None,
) -> None:  # fmt: skip
    """Run the units that the dataset lacks; each becomes one shard as soon as it is finished.

    The same units give the same data for any number of workers and interruptions.

    Args:
        environment: a registered environment; workers find it by its name.
        dataset: where to append.
        units: what to do; see `plan_units`.
        workers: number of processes, or an executor; with one, everything runs in this process.
        progress: called after each unit that has been written to disk.

    Raises:
        UserError: a task that cannot be started, a full disk, or a model that does not fit.
    """
    job = partial(run_unit, environment.spec.name)
    engine = LocalExecutor(workers) if isinstance(workers, int) else workers
    for unit, episodes in engine.map(job, missing(dataset, units)):
        dataset.append(episodes, unit.key)
        if progress:
            progress(unit)


def run_unit(environment: str, unit: CollectionJob) -> list[Episode]:
    """Collect the episodes of one unit: a pure function of the unit and of the model that it names."""
    world = make(environment)
    scene = _scene(environment, unit.locked)
    rng = np.random.default_rng(unit.seed)
    with threads(1):
        if unit.behaviour in PLANNING:
            behaviour, states = planned(world, scene, unit, rng)
        else:
            behaviour = _script(unit, world, scene, rng)
            states = sample_starts(scene, rng, unit.episodes, unit.near)
        episodes = run_lockstep(scene, behaviour, states, unit.steps, tag=unit.behaviour, seed=unit.seed)
        return episodes + branch(scene, episodes, unit.planning.branches if unit.planning else 0, rng)


@lru_cache(maxsize=4)
def _scene(environment: str, locked: tuple[str, ...]) -> Simulator:
    return make(environment).make_scene(locked)


def _script(unit: CollectionJob, world: Environment, scene: Simulator, rng: np.random.Generator) -> Behaviour:
    if unit.behaviour == "play":
        return Played(world, unit.episodes, rng)
    if unit.behaviour == "noise":
        return Noise(scene.spec, unit.episodes, rng)
    return babbling(scene, unit.episodes, rng, reach_only=unit.behaviour == "reach")
