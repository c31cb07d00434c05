"""A point in a square that goes where it is pushed, as an environment with a model; not a test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mbtransfer.data.coverage import Coverage
from mbtransfer.evaluation.episodes import play_episodes
from mbtransfer.model import Model, model_layout
from mbtransfer.transfer.method import Solution, controller_of
from tasks.environment import Environment
from tasks.simulator import RolloutSimulator
from tasks.spec import EnvSpec, Variable
from tasks.task import Task
from world_models.dynamics.ensemble import EnsembleConfig, EnsembleDynamics
from world_models.transitions import Transitions

SPEC = EnvSpec(
    "point", tuple(Variable(name, "m", -1.0, 1.0) for name in "xy"),
    (Variable("push x", "m", -0.4, 0.4), Variable("push y", "m", -0.2, 0.6)), (), 0.1, 12,
)  # fmt: skip
LOW, HIGH = (np.array([getattr(v, end) for v in SPEC.action], np.float32) for end in ("low", "high"))


class Point(RolloutSimulator):
    """Its state is time and place; beyond x = 5 it is lost. Walls stop it where it does not start beyond them."""

    spec, state_size = SPEC, 3

    def __init__(self) -> None:
        self.observe = lambda states: states[..., 1:].astype(np.float32)
        self.set_state(np.zeros(3))

    def rollout(self, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
        path, now = np.empty((*actions.shape[:2], 3)), states
        for t in range(actions.shape[1]):
            push = np.clip(actions[:, t], LOW, HIGH)
            lost = now[:, 1:2] > 5.0
            place = np.where(lost, np.nan, np.clip(now[:, 1:] + push, -1.0, 1.0))
            now = np.concatenate([now[:, :1] + SPEC.control_dt, place], axis=1)
            path[:, t] = now
        return path

    def sample_states(self, rng: np.random.Generator, n: int, place: object = None) -> np.ndarray:
        return np.concatenate([np.zeros((n, 1)), rng.uniform(-1.0, 1.0, (n, 2))], axis=1)


@dataclass(frozen=True)
class Go(Task):
    """Go to a point."""

    x: float
    y: float

    def _away(self, obs: Tensor) -> Tensor:
        return (obs[..., :2] - torch.tensor([self.x, self.y], dtype=obs.dtype)).norm(dim=-1)

    def reward(self, obs: Tensor, action: Tensor, next_obs: Tensor) -> Tensor:
        return -self._away(next_obs)

    def success(self, obs: Tensor) -> Tensor:
        return self._away(obs) < 0.2


def go(x: float, y: float, split: str = "source") -> Go:
    return Go(f"go {x} {y}", f"go to the point {x} {y}", split, x, y)


CORNERS = tuple(go(x, y) for x in (-0.7, 0.7) for y in (-0.7, 0.7))


def point_model(rows: int = 1000, seed: int = 0) -> Model:
    """Its dynamics are untrained; its pool is random pushes from random places."""
    scene, rng = Point(), np.random.default_rng(seed)
    states = scene.sample_states(rng, rows)
    actions = rng.uniform(LOW, HIGH, (rows, 1, 2)).astype(np.float32)
    after = scene.rollout(states, actions)[:, 0]
    obs, next_obs = (torch.from_numpy(scene.observe(x)) for x in (states, after))
    environment = Environment(SPEC, {task.name: task for task in CORNERS}, lambda locked: Point())
    dynamics = EnsembleDynamics(
        model_layout(SPEC), EnsembleConfig(members=2, hidden=8, layers=1, structure="dense")
    )
    return Model(
        environment, dynamics, Transitions(obs, torch.from_numpy(actions[:, 0]), next_obs), Coverage({}), {}
    )


def arrived(model: Model, solution: Solution, target: Task, episodes: int = 20) -> float:
    """Share of evaluation episodes with success."""
    played = play_episodes(controller_of(solution, model), target, 0, episodes)
    return float(np.mean([one.result.success for one in played]))
