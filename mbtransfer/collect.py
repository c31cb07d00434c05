"""Collect pooled data: units of work, done by any number of processes, resumed where they stopped."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch

from mbtransfer.agent import MPCAgent, Seeding, action_bounds
from mbtransfer.behaviours import Babble, Behaviour, Led, Noise
from mbtransfer.branches import branch
from mbtransfer.chain import Chain
from mbtransfer.dataset import Dataset, Header
from mbtransfer.engines import Engine, Local
from mbtransfer.episode import Episode
from mbtransfer.errors import UserError
from mbtransfer.goal import Goal, Rewards, TrueRewards
from mbtransfer.layout import model_layout
from mbtransfer.model import Model
from mbtransfer.objective import Dynamics, LearnedDynamics, OracleDynamics
from mbtransfer.planner_behaviour import Curious, PlannerBehaviour
from mbtransfer.planner_settings import parse_settings
from mbtransfer.prepare import Mixed, load_prepared
from mbtransfer.runner import fresh_states, run_lockstep
from mbtransfer.starts import move_near, sample_starts
from mbtransfer.units import MIXES, PLANNING, Planning, Unit, plan_units
from planners.base import Planner
from planners.registry import make_planner
from tasks.environment import Environment
from tasks.lead import WISH
from tasks.registry import make
from tasks.scene import Scene
from tasks.task import Task
from world_models.checkpoint import load_dynamics
from world_models.imagine import Imagination

__all__ = [
    "Unit",
    "collect",
    "collect_data",
    "missing",
    "open_dataset",
    "plan_units",
    "run_unit",
    "weights_digest",
]

ORACLE_BUDGET = {"horizon": 10, "candidates": 32, "iterations": 2}
"""The true simulator is slow but never wrong: a small search is enough for it."""


def open_dataset(environment: Environment, path: str) -> Dataset:
    """The dataset to collect into, new or to be continued.

    Raises:
        UserError: the folder holds something else, or cannot be written.
    """
    return Dataset.open_or_create(path, Header.of(environment.spec, environment.make_scene(()).state_size))


def collect_data(
    environment: Environment, path: str | Path, steps: int, *, seed: int = 0,
    shares: Mapping[str, float] | None = None, episode_steps: int = 60, locked: tuple[str, ...] = (),
    near: float = 0.5, workers: int = 1,
) -> Dataset:  # fmt: skip
    """A dataset with at least so many control steps by behaviours that need no model; see `plan_units`.

    Called again it collects what is missing, so a killed program goes on where it was.

    Args:
        environment: a registered environment.
        path: folder of the dataset, new or to be continued.
        steps: control steps in all, rounded up to whole episodes.
        seed: another one adds other episodes.
        shares: behaviour to its share; None for babbling at the fixtures, or noise where there are none.
        episode_steps: control steps per episode.
        locked: names of fixtures that cannot be moved.
        near: share of episodes that start with the hand close to a handle.
        workers: processes; the data are the same for any number.

    Raises:
        UserError: a number that makes no sense, or a folder that holds something else or cannot be written.
    """
    mix = shares or MIXES["scripted" if environment.spec.fixtures else "bare scripted"]
    units = plan_units(steps, seed, mix, episode_steps=episode_steps, locked=locked, near=near)
    dataset = open_dataset(environment, str(path))
    collect(environment, dataset, units, workers)
    return dataset


def missing(dataset: Dataset, units: Sequence[Unit]) -> list[Unit]:
    """The units that are still to be done."""
    return [unit for unit in units if unit.key not in dataset]


def collect(
    environment: Environment, dataset: Dataset, units: Sequence[Unit],
    workers: int | Engine = 1, progress: Callable[[Unit], None] | None = None,
) -> None:  # fmt: skip
    """Do the units that the dataset lacks; each becomes one shard as soon as it is finished.

    The same units give the same data, whatever the number of workers and however often it was interrupted.

    Args:
        environment: a registered environment; workers find it by its name.
        dataset: where to append.
        units: what to do; see `plan_units`.
        workers: processes, or an engine. With one, all is done in this one.
        progress: called after each unit that is on the disk.

    Raises:
        UserError: a task that cannot be started, a full disk, or a model that does not fit.
    """
    job = partial(run_unit, environment.spec.name)
    engine = Local(workers) if isinstance(workers, int) else workers
    for unit, episodes in engine.map(job, missing(dataset, units)):
        dataset.append(episodes, unit.key)
        if progress:
            progress(unit)


def run_unit(environment: str, unit: Unit) -> list[Episode]:
    """The episodes of one unit: a pure function of the unit, and of the model that it names."""
    world = make(environment)
    scene = _scene(environment, unit.locked)
    rng = np.random.default_rng(unit.seed)
    with _one_thread():
        if unit.behaviour in PLANNING:
            behaviour, states = _plan(world, scene, unit, rng)
        else:
            behaviour = _script(unit, scene, rng)
            states = sample_starts(scene, rng, unit.episodes, unit.near)
        episodes = run_lockstep(scene, behaviour, states, unit.steps, tag=unit.behaviour, seed=unit.seed)
        return episodes + branch(scene, episodes, unit.planning.branches if unit.planning else 0, rng)


@lru_cache(maxsize=4)
def _scene(environment: str, locked: tuple[str, ...]) -> Scene:
    return make(environment).make_scene(locked)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums over several threads differ in the last bit; and workers would fight for the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _script(unit: Unit, scene: Scene, rng: np.random.Generator) -> Behaviour:
    if unit.behaviour == "noise":
        return Noise(scene.spec, unit.episodes, rng)
    reach_only = unit.behaviour == "reach"
    if scene.lead is None:
        return Babble(scene.spec, unit.episodes, rng, reach_only=reach_only)
    wishes = Babble(replace(scene.spec, action=WISH), unit.episodes, rng, reach_only=reach_only)
    return Led(wishes, scene.lead, Noise(scene.spec, unit.episodes, rng))


def _plan(
    world: Environment, scene: Scene, unit: Unit, rng: np.random.Generator
) -> tuple[Behaviour, np.ndarray]:
    """An agent for the unit's tasks, and starts from which each is still to be done."""
    from mbtransfer.evaluation.asked import find_task  # takes a while, and scripted units need it not

    tasks = [find_task(world, name) for name in unit.tasks]
    if not tasks:
        raise UserError(f"behaviour {unit.behaviour} needs at least one task; name some with --tasks")
    turns = (np.arange(unit.episodes) + unit.index * unit.episodes) % len(tasks)
    starts = np.concatenate([fresh_states(scene, tasks[turn], rng, 1) for turn in turns])
    active = torch.eye(len(tasks))[torch.from_numpy(turns)]
    planning = unit.planning or Planning()
    rewards = _rewards(unit.behaviour, planning, tasks)
    chain = Chain(rewards, len(tasks), turns, rng) if planning.chain else None
    bounds = action_bounds(scene.spec)
    dynamics, planner = _dynamics(scene, unit.behaviour, planning), _planner(scene, unit.behaviour, planning)
    seeding = None
    if ready := _ready(world, unit.behaviour, planning, tasks, turns):
        dynamics = dynamics.valued(replace(dynamics.valuation, discount=ready.discount, value=ready.value))
        seeding = Seeding(ready.policy)
    agent = MPCAgent(dynamics, planner, bounds, unit.seed % 2**31, seeding=seeding, replan=planning.replan)
    behaviour = PlannerBehaviour(agent, Goal(rewards, active), planning.noise, rng, chain)
    return behaviour, move_near(scene, rng, starts, unit.near)


def _ready(
    world: Environment, behaviour: str, planning: Planning, tasks: Sequence[Task], turns: np.ndarray
) -> Mixed | None:
    """What was prepared, if it was for all of the tasks, and they do not change on the way."""
    if not planning.prepared or planning.chain or behaviour == "oracle":
        return None
    digest, bounds = _model(planning.model, planning.model_digest).digest, action_bounds(world.spec)
    found = [load_prepared(Path(planning.model), task.name, digest, bounds) for task in tasks]
    there = [one for one in found if one is not None]
    return Mixed(there, torch.from_numpy(turns)) if len(there) == len(tasks) else None


def _rewards(behaviour: str, planning: Planning, tasks: Sequence[Task]) -> Rewards:
    """True rewards, unless only the simulator's state tells them: then what the model learned of them."""
    if behaviour == "oracle" or not any(task.needs_state for task in tasks):
        return TrueRewards(tasks)
    return _model(planning.model, planning.model_digest).rewards(tasks)


@lru_cache(maxsize=2)
def _model(folder: str, digest: str) -> Model:
    return Model.load(folder, "cpu")


def _planner(scene: Scene, behaviour: str, planning: Planning) -> Planner:
    settings: dict[str, int | float] = dict(ORACLE_BUDGET) if behaviour == "oracle" else {}
    for name in ("horizon", "candidates", "iterations"):
        value = getattr(planning, name)
        if value is not None:
            settings[name] = value
    settings |= parse_settings(planning.settings)
    return make_planner(planning.planner, action_bounds(scene.spec), settings)


def _dynamics(scene: Scene, behaviour: str, planning: Planning) -> Dynamics:
    if behaviour == "oracle":
        return OracleDynamics(scene)
    imagination = _imagination(planning.model, planning.model_digest, planning.particles, scene.spec.name)
    if behaviour == "explore":
        return LearnedDynamics(imagination, Curious(bonus=planning.bonus))
    return LearnedDynamics(imagination)


def weights_digest(model: str | Path, environment: Environment) -> str:
    """What a model's weights are: with another model the same units are other units.

    Raises:
        ModelError: no model, damaged, or of another environment.
    """
    _, manifest = load_dynamics(model, expect=model_layout(environment.spec))
    return str(manifest["tensors"]["sha256"])


@lru_cache(maxsize=2)
def _imagination(folder: str, digest: str, particles: int, environment: str) -> Imagination:
    """The model in a folder, ready to plan in; read once per process."""
    layout = model_layout(make(environment).spec)
    dynamics, manifest = load_dynamics(folder, expect=layout)
    if digest and manifest["tensors"]["sha256"] != digest:
        raise UserError(f"the model in {folder} has changed while data were collected; run the command again")
    return Imagination(dynamics, particles)
