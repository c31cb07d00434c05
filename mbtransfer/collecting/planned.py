"""Planners that collect: an agent for a unit's tasks, in the learned model or in the true simulator."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from mbtransfer.agent import MPCAgent, Seeding, action_bounds
from mbtransfer.collecting.behaviours import Behaviour
from mbtransfer.collecting.chain import Chain
from mbtransfer.collecting.goals import draw_goals
from mbtransfer.collecting.planner_behaviour import Curious, PlannerBehaviour
from mbtransfer.collecting.runner import fresh_states
from mbtransfer.collecting.starts import move_near
from mbtransfer.collecting.units import Planning, Unit
from mbtransfer.errors import UserError
from mbtransfer.goal import Goal, Rewards, TrueRewards
from mbtransfer.layout import model_layout
from mbtransfer.model import Model
from mbtransfer.objective import Dynamics, LearnedDynamics, OracleDynamics
from mbtransfer.planner_settings import parse_settings
from mbtransfer.prepare import Mixed, load_prepared
from planners.base import Planner
from planners.registry import make_planner
from tasks.environment import Environment
from tasks.registry import make
from tasks.scene import Scene
from tasks.task import Task
from world_models.checkpoint import load_dynamics
from world_models.imagine import Imagination

ORACLE_BUDGET = {"horizon": 10, "candidates": 32, "iterations": 2}
"""The true simulator is slow but never wrong: a small search is enough for it."""


def planned(
    world: Environment, scene: Scene, unit: Unit, rng: np.random.Generator
) -> tuple[Behaviour, np.ndarray]:
    """An agent for the unit's tasks, and starts from which each is still to be done.

    Raises:
        UserError: no tasks, or a model that has changed since the unit was planned.
        TaskError: an unknown task, or one that no start leaves undone.
    """
    tasks, turns, starts = (
        _goals(scene, unit, rng) if unit.behaviour == "goals" else _asked(world, scene, unit, rng)
    )
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


def _asked(
    world: Environment, scene: Scene, unit: Unit, rng: np.random.Generator
) -> tuple[list[Task], np.ndarray, np.ndarray]:
    """The unit's tasks, which of them each episode is after, and where it starts."""
    from mbtransfer.evaluation.asked import find_task  # takes a while, and scripted units need it not

    tasks = [find_task(world, name) for name in unit.tasks]
    if not tasks:
        raise UserError(f"behaviour {unit.behaviour} needs at least one task; name some with --tasks")
    turns = (np.arange(unit.episodes) + unit.index * unit.episodes) % len(tasks)
    return tasks, turns, np.concatenate([fresh_states(scene, tasks[turn], rng, 1) for turn in turns])


def _goals(scene: Scene, unit: Unit, rng: np.random.Generator) -> tuple[list[Task], np.ndarray, np.ndarray]:
    """A goal of its own for each episode, and where it starts."""
    starts = scene.sample_states(rng, unit.episodes)
    goals = draw_goals(scene.spec, scene.observe(starts), unit.locked, rng)
    return list(goals), np.arange(unit.episodes), starts


def _ready(
    world: Environment, behaviour: str, planning: Planning, tasks: Sequence[Task], turns: np.ndarray
) -> Mixed | None:
    """What was prepared, if it was for all of the tasks, and they do not change on the way."""
    if not planning.prepared or planning.chain or behaviour in ("oracle", "goals"):
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
