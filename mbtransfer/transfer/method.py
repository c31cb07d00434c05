"""The protocol of all transfer methods: pretrain once, then solve one target after another.

A method is a frozen dataclass whose fields are its settings. It is pure: what it carries from the source tasks to a
target is what `pretrain` returns, and `solve` does not change it.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Generic, TypeVar

import numpy as np
from jaxtyping import Float
from torch import Tensor, nn

from mbtransfer.model import Model
from mbtransfer.mpc.agent import MPCAgent, action_bounds
from mbtransfer.mpc.controller import Controller, simulator_controller
from mbtransfer.mpc.objective import Policy, Reward
from tasks.environment import Environment
from tasks.task import Task

Carried = TypeVar("Carried")


@dataclass(frozen=True, eq=False)
class Sources:
    """What every method may learn from before it knows the targets.

    Attributes:
        model: the model, its environment and its pool.
        tasks: the source tasks.
        labels: labelled transitions behind the reward of each task, source or target.
        seed: seed of all randomness.
        practice: episodes of the target that a method may take before it is measured.
    """

    model: Model
    tasks: tuple[Task, ...]
    labels: int
    seed: int
    practice: int = 0


@dataclass(frozen=True)
class Costs:
    """What a solution has cost; times are measured for all methods alike.

    Attributes:
        pool: transitions of the pool that it learned from.
        steps: environment steps beyond the pool.
        labels: labelled transitions, those of source tasks included.
        parameters: numbers in its networks.
    """

    pool: int = 0
    steps: int = 0
    labels: int = 0
    parameters: int = 0


@dataclass(frozen=True, eq=False)
class Solution:
    """What acts in the target.

    Attributes:
        acts: a policy (obs [B O] to actions [B A]), or the controller of a planner.
        costs: what it has cost.
    """

    acts: Policy | Controller
    costs: Costs = field(default_factory=Costs)


class Method(ABC, Generic[Carried]):
    """One answer to what should be carried from old tasks to a new one."""

    name: ClassVar[str]
    """What the command line calls it."""

    without_practice: ClassVar[bool] = False
    """It takes none of the episodes of practice, so that it is run once for all numbers of them. A subclass that does
    must say so."""

    def __repr__(self) -> str:
        """The class; dataclasses add their settings, on which runs depend."""
        return f"{type(self).__name__}()"

    def lacks(self, environment: Environment) -> str:
        """What the method needs and the environment does not have, in words; empty if it can run there."""
        return ""

    def small(self) -> "Method[Carried]":
        """The same method with a share of its training, for `--budget small`; itself if it trains little or nothing."""
        return self

    @abstractmethod
    def pretrain(self, sources: Sources) -> Carried:
        """Learn what is carried; called once for each seed."""

    @abstractmethod
    def solve(self, carried: Carried, target: Task) -> Solution:
        """Solve a target, of which N labelled transitions of the pool and the episodes of `practice` may be used."""


def parameters(*networks: nn.Module) -> int:
    """Numbers in some networks."""
    return sum(weights.numel() for network in networks for weights in network.parameters())


class PolicyAgent(MPCAgent):
    """Acts by a policy, without a plan."""

    policy: Policy

    def act(self, obs: Float[Tensor, "B O"], state: np.ndarray, reward: Reward) -> Float[Tensor, "B A"]:
        """The policy's action in each episode."""
        return self.bounds.clamp(self.policy(obs))


@dataclass(frozen=True, repr=False, kw_only=True)
class PolicyController(Controller):
    """A controller that acts by a policy, so that policies and planners run in the same episodes."""

    policy: Policy

    def agent(self, seed: int) -> PolicyAgent:
        """See `Controller.agent`."""
        bounds = action_bounds(self.environment.spec, self.device)
        agent = PolicyAgent(self.dynamics, self.make_planner(), bounds, seed)
        agent.policy = self.policy
        return agent


def controller_of(solution: Solution, model: Model) -> Controller:
    """The controller by which a solution acts in the model's environment."""
    if isinstance(solution.acts, Controller):
        return solution.acts
    fields = vars(simulator_controller(model.environment)) | {"device": model.device}
    return PolicyController(**fields, policy=solution.acts)
