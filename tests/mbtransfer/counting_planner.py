"""A planner that remembers what it was asked, and an agent that plans with it; not a test."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mbtransfer.mpc.agent import MPCAgent
from mbtransfer.mpc.objective import LearnedDynamics, ReturnEstimator, Reward, TrajectoryObjective
from planners.base import Bounds, Objective, Plan

BOUNDS = Bounds(torch.tensor([-1.0, 0.0]), torch.tensor([1.0, 1.0]))
NO_STATE = np.zeros(0)


def nothing(obs: Tensor, action: Tensor, next_obs: Tensor) -> Tensor:
    return torch.zeros(obs.shape[:-1])


class Near(TrajectoryObjective):
    """A plan is the better the closer its actions are to a target."""

    def __init__(self, target: Tensor) -> None:
        self.target = target

    def __call__(self, candidates: Tensor) -> Tensor:
        return -(candidates - self.target).square().sum(dim=(-1, -2))


class Target(LearnedDynamics):
    """A world in which only the way to a target counts."""

    def __init__(self, target: Tensor) -> None:
        self.target, self.estimator = target, ReturnEstimator()

    def objective(
        self, obs: Tensor, state: np.ndarray, reward: Reward, generator: torch.Generator
    ) -> TrajectoryObjective:
        return Near(self.target)


class Counting:
    """A planner that returns its start plus one, and remembers the start."""

    horizon = 3

    def __init__(self) -> None:
        self.starts: list[Tensor] = []
        self.proposals: list[Tensor | None] = []
        self.deadlines: list[float | None] = []

    def plan(
        self,
        objective: Objective,
        start: Tensor,
        generator: torch.Generator,
        *,
        proposals: Tensor | None = None,
        deadline: float | None = None,
    ) -> Plan:
        self.starts.append(start.clone())
        self.proposals.append(proposals)
        self.deadlines.append(deadline)
        steps = torch.arange(3.0)[:, None]
        plans = start + 1 + steps
        return Plan(plans, torch.zeros_like(start), torch.zeros(len(start)), 0, elites=plans[:, None])


def counting(replan: int = 1) -> tuple[MPCAgent, Counting]:
    planner = Counting()
    return MPCAgent(Target(torch.zeros(2)), planner, BOUNDS, replan=replan), planner


def act(agent: MPCAgent, batch: int) -> Tensor:
    return agent.act(torch.zeros(batch, 5), NO_STATE, nothing)
