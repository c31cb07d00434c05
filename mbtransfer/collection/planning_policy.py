"""Collection policies that plan, with the learned model or the true simulator."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from mbtransfer.collection.command_behaviour import CommandBehaviour
from mbtransfer.collection.jobs import CollectionJob, PlannerConfig
from mbtransfer.collection.noise import ActionNoise
from mbtransfer.collection.policies import Behaviour
from mbtransfer.collection.rollout import move_near
from mbtransfer.config import parse_settings
from mbtransfer.errors import UserError
from mbtransfer.model import Model, model_layout
from mbtransfer.mpc.agent import MPCAgent, Seeding, action_bounds
from mbtransfer.mpc.command_policy import load_command_policy
from mbtransfer.mpc.objective import Dynamics, LearnedDynamics, OracleDynamics, ReturnEstimator, Reward
from mbtransfer.mpc.task_reward import Rewards, TaskReward, TrueRewards
from mbtransfer.training.policy import MultiTaskPolicy, load_prepared
from planners.base import Planner
from planners.registry import make_planner
from tasks.environment import Environment
from tasks.registry import make
from tasks.simulator import Simulator
from tasks.spec import EnvSpec, Fixture
from tasks.task import Move, Task, move
from tasks.task_starts import fresh_states
from world_models.checkpoint.checkpoint import load_dynamics
from world_models.dynamics.rollout import Imagination, Imagined

ORACLE_BUDGET = {"horizon": 10, "candidates": 32, "iterations": 2}
"""The true simulator is slow but exact, so that a small search is enough."""


def planned(
    world: Environment, scene: Simulator, unit: CollectionJob, rng: np.random.Generator
) -> tuple[Behaviour, np.ndarray]:
    """An agent for the unit's tasks, and start states in which they are not yet solved.

    Raises:
        UserError: no tasks, or a model that has changed since the unit was planned.
        TaskError: an unknown task, or one that is solved in every start state.
    """
    if unit.behaviour == "curious":
        return _curious(scene, unit, rng)
    if unit.behaviour == "goals" and world.body:
        return _commanded(scene, unit, rng)
    tasks, turns, starts = (
        _goals(world, scene, unit, rng) if unit.behaviour == "goals" else _asked(world, scene, unit, rng)
    )
    active = torch.eye(len(tasks))[torch.from_numpy(turns)]
    planning = unit.planning or PlannerConfig()
    rewards = _rewards(unit.behaviour, planning, tasks)
    chain = Chain(rewards, len(tasks), turns, rng) if planning.chain else None
    bounds = action_bounds(scene.spec)
    dynamics, planner = _dynamics(scene, unit.behaviour, planning), _planner(scene, unit.behaviour, planning)
    seeding = None
    if ready := _ready(world, unit.behaviour, planning, tasks, turns):
        dynamics = dynamics.with_returns(
            replace(dynamics.estimator, discount=ready.discount, value=ready.value)
        )
        seeding = Seeding(ready.policy)
    agent = MPCAgent(dynamics, planner, bounds, unit.seed % 2**31, seeding=seeding, replan=planning.replan)
    behaviour = PlannerBehaviour(agent, TaskReward(rewards, active), planning.noise, rng, chain)
    return behaviour, move_near(scene, rng, starts, unit.near)


def _curious(scene: Simulator, unit: CollectionJob, rng: np.random.Generator) -> tuple[Behaviour, np.ndarray]:
    """An agent that plans for disagreement and for no task."""
    planning, bounds = unit.planning or PlannerConfig(), action_bounds(scene.spec)
    dynamics, planner = _dynamics(scene, unit.behaviour, planning), _planner(scene, unit.behaviour, planning)
    agent = MPCAgent(dynamics, planner, bounds, unit.seed % 2**31, replan=planning.replan)
    starts = scene.sample_states(rng, unit.episodes)
    return PlannerBehaviour(agent, _nothing, planning.noise, rng), move_near(scene, rng, starts, unit.near)


def _commanded(
    scene: Simulator, unit: CollectionJob, rng: np.random.Generator
) -> tuple[Behaviour, np.ndarray]:
    """The policy for commands, which needs no search."""
    planning = unit.planning or PlannerConfig()
    digest = _model(planning.model, planning.model_digest).digest
    policy = load_command_policy(Path(planning.model), digest, action_bounds(scene.spec))
    starts = scene.sample_states(rng, unit.episodes)
    return CommandBehaviour(policy, unit.episodes, planning.noise, rng), starts


def _nothing(obs: Tensor, action: Tensor, next_obs: Tensor) -> Tensor:
    return next_obs.new_zeros(next_obs.shape[:-1])


def _asked(
    world: Environment, scene: Simulator, unit: CollectionJob, rng: np.random.Generator
) -> tuple[list[Task], np.ndarray, np.ndarray]:
    """The unit's tasks, the task of each episode, and its start state."""
    from mbtransfer.evaluation.task_selection import (
        find_task,  # slow to import, and scripted units do not need it
    )

    tasks = [find_task(world, name) for name in unit.tasks]
    if not tasks:
        raise UserError(f"behaviour {unit.behaviour} needs at least one task; name some with --tasks")
    turns = (np.arange(unit.episodes) + unit.index * unit.episodes) % len(tasks)
    return tasks, turns, np.concatenate([fresh_states(scene, tasks[turn], rng, 1) for turn in turns])


def _goals(
    world: Environment, scene: Simulator, unit: CollectionJob, rng: np.random.Generator
) -> tuple[list[Task], np.ndarray, np.ndarray]:
    """A random goal for each episode, and its start state."""
    starts = scene.sample_states(rng, unit.episodes)
    goals: Sequence[Task] = (
        world.goals(starts, unit.locked, rng)
        if world.goals
        else draw_goals(scene.spec, scene.observe(starts), unit.locked, rng)
    )
    return list(goals), np.arange(unit.episodes), starts


def _ready(
    world: Environment, behaviour: str, planning: PlannerConfig, tasks: Sequence[Task], turns: np.ndarray
) -> MultiTaskPolicy | None:
    """The prepared policies and values, if all tasks have one and no episode changes its task."""
    if not planning.prepared or planning.chain or behaviour in ("oracle", "goals"):
        return None
    digest, bounds = _model(planning.model, planning.model_digest).digest, action_bounds(world.spec)
    found = [load_prepared(Path(planning.model), task.name, digest, bounds) for task in tasks]
    there = [one for one in found if one is not None]
    return MultiTaskPolicy(there, torch.from_numpy(turns)) if len(there) == len(tasks) else None


def _rewards(behaviour: str, planning: PlannerConfig, tasks: Sequence[Task]) -> Rewards:
    """True rewards, or the model's learned heads if the true ones need the simulator's state."""
    if behaviour == "oracle" or not any(task.privileged for task in tasks):
        return TrueRewards(tasks)
    return _model(planning.model, planning.model_digest).rewards(tasks)


@lru_cache(maxsize=2)
def _model(folder: str, digest: str) -> Model:
    return Model.load(folder, "cpu")


def _planner(scene: Simulator, behaviour: str, planning: PlannerConfig) -> Planner:
    settings: dict[str, int | float] = dict(ORACLE_BUDGET) if behaviour == "oracle" else {}
    for name in ("horizon", "candidates", "iterations"):
        value = getattr(planning, name)
        if value is not None:
            settings[name] = value
    settings |= parse_settings(planning.settings)
    return make_planner(planning.planner, action_bounds(scene.spec), settings)


def _dynamics(scene: Simulator, behaviour: str, planning: PlannerConfig) -> Dynamics:
    if behaviour == "oracle":
        return OracleDynamics(scene)
    imagination = _imagination(planning.model, planning.model_digest, planning.particles, scene.spec.name)
    if behaviour in ("explore", "curious"):
        return LearnedDynamics(imagination, Curious(bonus=planning.bonus))
    return LearnedDynamics(imagination)


def weights_digest(model: str | Path, environment: Environment) -> str:
    """Digest of a model's weights; units with another model are different units.

    Raises:
        ModelError: no model, damaged, or of another environment.
    """
    _, manifest = load_dynamics(model, expect=model_layout(environment.spec))
    return str(manifest["tensors"]["sha256"])


@lru_cache(maxsize=2)
def _imagination(folder: str, digest: str, particles: int, environment: str) -> Imagination:
    """The model in a folder, ready for planning; loaded once per process."""
    layout = model_layout(make(environment).spec)
    dynamics, manifest = load_dynamics(folder, expect=layout)
    if digest and manifest["tensors"]["sha256"] != digest:
        raise UserError(f"the model in {folder} has changed while data were collected; run the command again")
    return Imagination(dynamics, particles)


HELD = 3
"""Control steps for which a task must stay solved before the next one begins."""


class Chain:
    """The current task of each of B episodes; once it is done, the next unsolved task is drawn at random.

    Args:
        rewards: rewards of K tasks.
        tasks: K.
        first: the first task of each episode.
        rng: draws the next ones.
    """

    def __init__(
        self, rewards: Rewards, tasks: int, first: Int[ndarray, " B"], rng: np.random.Generator
    ) -> None:
        self._rewards, self._tasks, self._rng = rewards, tasks, rng
        self.now = np.array(first)
        self._held = np.zeros(len(first), int)

    def advance(self, obs: Float[Tensor, "B O"]) -> Bool[Tensor, " B"]:
        """Process the current observations, and return which episodes switch to another task."""
        won = self._rewards.success(obs).cpu().numpy() > 0.5
        rows = np.arange(len(self.now))
        self._held = np.where(won[rows, self.now], self._held + 1, 0)
        changed = (self._held >= HELD) & ~won.all(axis=1)
        for row in np.flatnonzero(changed):
            self.now[row] = self._rng.choice(np.flatnonzero(~won[row]))
            self._held[row] = 0
        return torch.from_numpy(changed)

    def goal(self) -> TaskReward:
        """The reward of each episode's task."""
        return TaskReward(self._rewards, torch.eye(self._tasks)[torch.from_numpy(self.now)])


_MOST = 3.0
"""Upper limit of disagreement, in units of the scale of change: beyond it the model has failed."""


class PlannerBehaviour:
    """An agent that plans for a reward, with noise on its actions so that the data also cover states near the plan.

    Args:
        agent: plans for B episodes at once.
        reward: reward to plan for: `Task.reward`, or a `TaskReward` with one row per episode.
        noise_std: standard deviation of the correlated noise on each action, as a share of half the action range.
        rng: source of the noise.
        chain: gives the reward at every step instead, if episodes continue with other tasks.
    """

    def __init__(
        self, agent: MPCAgent, reward: Reward, noise_std: float, rng: np.random.Generator,
        chain: Chain | None = None,
    ) -> None:  # fmt: skip
        self._agent, self._reward, self._chain = agent, reward, chain
        self._noise = ActionNoise(agent.bounds, noise_std, rng)

    def act(self, obs: Float[ndarray, "B O"], state: Float[ndarray, "B S"]) -> Float[ndarray, "B A"]:
        """See `Behaviour.act`."""
        seen = torch.from_numpy(obs).to(self._agent.bounds.low)
        if self._chain is not None:
            self._agent.forget(self._chain.advance(seen))
            self._reward = self._chain.goal()
        action = self._agent.act(seen, state, self._reward)
        return self._noise.add(action)


@dataclass(frozen=True)
class Curious(ReturnEstimator):
    """Return with a bonus for disagreement of the ensemble.

    Sekar et al. (2020), "Planning to explore via self-supervised world models": more data can reduce the disagreement
    of the members, unlike noise, on which they agree.

    Attributes:
        bonus: reward per control step for one unit of disagreement; needs at least two particles.
    """

    bonus: float = 1.0

    def returns(
        self, rewards: Float[Tensor, "H Q R"], futures: Imagined, actions: Float[Tensor, "H 1 R A"]
    ) -> Float[Tensor, " R"]:
        """See `ReturnEstimator.returns`."""
        news = futures.disagreement().clamp(max=_MOST).mean(dim=-1).sum(dim=0)
        return super().returns(rewards, futures, actions) + self.bonus * news


_TRIES = 50


def draw_goals(
    spec: EnvSpec, obs: Float[ndarray, "B O"], locked: Sequence[str], rng: np.random.Generator
) -> list[Move]:
    """Draw a goal for each start: an object, one of its fixtures, and a target far enough from its position.

    All three are drawn uniformly: an object with many joints, such as a kettle, is as likely as one with one joint.

    Goal babbling (Baranes and Oudeyer 2013, "Active learning of inverse models with intrinsically motivated
    goal exploration in robots"), in the space of the fixtures and without their measure of progress.

    Args:
        spec: spec of the environment.
        obs: observations of the starts.
        locked: fixtures that cannot be moved.
        rng: source of the draws.

    Raises:
        UserError: every fixture is locked.
    """
    free = [fixture for fixture in spec.fixtures if fixture.name not in locked]
    if not free:
        raise UserError("behaviour goals needs a fixture that is not locked")
    things = list(_by_handle(free).values())
    goals = []
    for start in torch.from_numpy(obs):
        for _ in range(_TRIES):
            parts = things[rng.integers(len(things))]
            fixture = parts[rng.integers(len(parts))]
            goal = move(spec, fixture.name, float(rng.uniform(fixture.low, fixture.high)))
            if bool(goal.is_valid_start(start)):
                break
        goals.append(goal)
    return goals


def _by_handle(fixtures: Sequence[Fixture]) -> dict[tuple[int, int, int], list[Fixture]]:
    """Group the fixtures by handle: those that share one move together."""
    things: dict[tuple[int, int, int], list[Fixture]] = {}
    for fixture in fixtures:
        things.setdefault(fixture.handle, []).append(fixture)
    return things
