"""Controllers: dynamics, rewards and a planner, from which an agent for any task is made."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch

from mbtransfer.labels.labelled_task import LabelledTask
from mbtransfer.mpc.agent import MPCAgent, Seeding, action_bounds
from mbtransfer.mpc.combined_reward import combined_rewards
from mbtransfer.mpc.late_agent import Clock, LateAgent
from mbtransfer.mpc.objective import Dynamics, LearnedDynamics, OracleDynamics, ReturnEstimator
from mbtransfer.mpc.task_policy import Prepared
from mbtransfer.mpc.task_reward import Rewards, TrueRewards
from planners.base import Planner
from planners.registry import make_planner
from tasks.environment import Environment
from tasks.simulator import Simulator
from tasks.task import Task, approaches
from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.dynamics.precision import Precision
from world_models.dynamics.rollout import Imagination, Propagation

PLANNER = "cem"
PARTICLES = 2

LOOKAHEAD, FEWEST, MOST = 1.5, 10, 20
"""Seconds that plans look ahead by default, and the fewest and most control steps."""


@dataclass(frozen=True, repr=False)
class Controller:
    """Everything that an agent needs for an episode, and the simulator that it acts in.

    Attributes:
        environment: spec and named tasks.
        scene: the true simulator, in which episodes run.
        dynamics: predicts where plans lead.
        rewards: gives the rewards of some tasks, learned or true.
        dynamics_name: `learned` or `oracle`.
        reward_name: `learned`, `true` or `distance`.
        labels: labelled transitions behind each learned reward; 0 for true rewards.
        planner: name of the planner.
        settings: settings that differ from the planner's defaults.
        device: device for planning.
        decision_ms: time budget per decision, milliseconds; None for no limit.
        seeding: a policy that proposes plans.
        retry_after: control steps without progress after which an episode returns to its start and tries again; None
            for never.
        prepared: gives the prepared policy and value of a task, or None; None if nothing prepared is used.
        clock: how long decisions take while the world goes on; None if it waits for them.
    """

    environment: Environment
    scene: Simulator
    dynamics: Dynamics
    rewards: Callable[[Sequence[Task]], Rewards]
    dynamics_name: str
    reward_name: str
    labels: int = 0
    planner: str = PLANNER
    settings: Mapping[str, int | float] = field(default_factory=dict)
    device: torch.device | str = "cpu"
    decision_ms: float | None = None
    seeding: Seeding | None = None
    retry_after: int | None = None
    prepared: Callable[[Task], Prepared | None] | None = None
    clock: Clock | None = None

    def __repr__(self) -> str:
        """A one-line description."""
        name, settings = self.environment.spec.name, "".join(f", {k}={v}" for k, v in self.settings.items())
        parts = f"{self.planner}{settings}; {self.dynamics_name} dynamics, {self.reward_name} reward"
        return f"Controller({name!r}: {parts})"

    def labels_of(self, asked: object) -> int:
        """Labelled transitions behind the learned reward of a task or recipe; a labelled task has its own."""
        return len(asked.labels.reward) if self.labels and isinstance(asked, LabelledTask) else self.labels

    def ready_for(self, asked: object) -> "Controller":
        """The same controller, with the number of labels of `asked`, and the prepared policy and value if it has them.

        Raises:
            UserError, ModelError: what was prepared is of another model, or damaged.
        """
        found = self.prepared(asked) if self.prepared and isinstance(asked, Task) else None
        labels = self.labels_of(asked)
        if found is None:
            return self if labels == self.labels else replace(self, labels=labels)
        estimator = replace(self.dynamics.estimator, discount=found.discount, value=found.value)
        dynamics = self.dynamics.with_returns(estimator)
        return replace(self, dynamics=dynamics, seeding=Seeding(found.policy), labels=labels)

    def agent(self, seed: int) -> MPCAgent:
        """A fresh agent for a batch of episodes.

        Raises:
            PlannerError: no such planner or setting.
        """
        bounds = action_bounds(self.environment.spec, self.device)
        planner = make_planner(self.planner, bounds, self.settings)
        made: dict[str, Any] = {"seed": seed, "seeding": self.seeding, "decision_ms": self.decision_ms}
        if self.clock is None:
            return MPCAgent(self.dynamics, planner, bounds, **made)
        return LateAgent(self.dynamics, planner, bounds, clock=self.clock, **made)

    def make_planner(self) -> Planner:
        """Make the planner alone, as a quick check of its name and settings.

        Raises:
            PlannerError: no such planner or setting.
        """
        return make_planner(self.planner, action_bounds(self.environment.spec), self.settings)


def by_distance(tasks: Sequence[Task]) -> TrueRewards:
    """The control of each task: a reward for nearness of hand and handle alone; see `tasks.task.approaches`."""
    return TrueRewards(approaches(tasks))


def simulator_controller(
    environment: Environment, *, rewards: Callable[[Sequence[Task]], Rewards] | None = None, labels: int = 0,
    planner: str = PLANNER, settings: Mapping[str, int | float] | None = None,
    estimator: ReturnEstimator | None = None, decision_ms: float | None = None, seeding: Seeding | None = None,
) -> Controller:  # fmt: skip
    """A controller that plans in the true simulator, by default with the true rewards: an upper bound on results.

    Raises:
        TaskError: the environment has no simulator.
    """
    environment.need_simulator("an oracle", "plan with a model fitted to logs")
    return Controller(
        environment, environment.make_scene(()), OracleDynamics(environment.make_scene(()), estimator),
        _of_tasks(rewards), "oracle", "learned" if rewards else "true", labels if rewards else 0,
        planner, with_horizon(environment, settings), "cpu", decision_ms, seeding,
    )  # fmt: skip


def model_controller(
    environment: Environment, dynamics: EnsembleDynamics, *,
    rewards: Callable[[Sequence[Task]], Rewards] | None = None, labels: int = 0,
    planner: str = PLANNER, settings: Mapping[str, int | float] | None = None,
    particles: int = PARTICLES, propagation: Propagation = "tsinf", device: torch.device | str = "cpu",
    precision: Precision = "auto", compiled: bool = False, estimator: ReturnEstimator | None = None,
    decision_ms: float | None = None, seeding: Seeding | None = None,
) -> Controller:  # fmt: skip
    """A controller that plans in the ensemble with learned `rewards`, or with the true ones if none are given."""
    rows = int((settings or {}).get("candidates", 64))
    imagination = Imagination(dynamics, particles, propagation, precision, compiled, rows=rows)
    return Controller(
        environment, environment.make_scene(()), LearnedDynamics(imagination, estimator),
        _of_tasks(rewards), "learned", "learned" if rewards else "true", labels if rewards else 0,
        planner, with_horizon(environment, settings), device, decision_ms, seeding,
    )  # fmt: skip


def with_horizon(
    environment: Environment, settings: Mapping[str, int | float] | None = None
) -> dict[str, int | float]:
    """The settings of a planner, with the horizon that suits the environment's control step where they name none."""
    steps = round(LOOKAHEAD / environment.spec.control_dt)
    return {"horizon": min(max(steps, FEWEST), MOST), **(settings or {})}


def _of_tasks(rewards: Callable[[Sequence[Task]], Rewards] | None) -> Callable[[Sequence[Task]], Rewards]:
    """Rewards of any tasks, combined ones too."""
    return partial(combined_rewards, of_parts=rewards) if rewards else TrueRewards
