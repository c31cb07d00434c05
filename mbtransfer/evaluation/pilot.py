"""Who drives the robot: dynamics, rewards and a planner, ready to make an agent for any task or recipe."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch

from mbtransfer.agent import MPCAgent, Seeding, action_bounds
from mbtransfer.goal import Rewards, TrueRewards
from mbtransfer.objective import Dynamics, LearnedDynamics, OracleDynamics
from mbtransfer.prepare.prepared import Prepared
from mbtransfer.valuation import Valuation
from planners.base import Planner
from planners.registry import make_planner
from tasks.approach import approaches
from tasks.environment import Environment
from tasks.scene import Scene
from tasks.task import Task
from world_models.ensemble import EnsembleDynamics
from world_models.imagine import Imagination, Propagation
from world_models.precision import Precision

PLANNER = "mppi"
PARTICLES = 2


@dataclass(frozen=True)
class Pilot:
    """What acts in an episode, and the world that it acts in.

    Attributes:
        environment: spec and named tasks.
        scene: the true world; episodes happen here.
        dynamics: what plans are followed by.
        rewards: gives the rewards of some tasks, learned or true.
        dynamics_name: `learned` or `oracle`.
        reward_name: `learned`, `true` or `distance`.
        labels: labelled transitions behind each learned reward; 0 with the true ones.
        planner: name of the planner.
        settings: what differs from the planner's defaults.
        device: where planning happens.
        decision_ms: time that a decision may take; None for as long as it takes.
        seeding: a policy that proposes plans.
        retry_after: control steps without a gain after which an episode goes back to how it began, to try again; None
            for never.
        prepared: gives the policy and the value that were prepared for a task; None where none were.
    """

    environment: Environment
    scene: Scene
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

    def ready_for(self, asked: object) -> "Pilot":
        """The same, with sight beyond the horizon where this is a task that something was prepared for.

        Raises:
            UserError, ModelError: what was prepared is of another model, or damaged.
        """
        found = self.prepared(asked) if self.prepared and isinstance(asked, Task) else None
        if found is None:
            return self
        valuation = replace(self.dynamics.valuation, discount=found.discount, value=found.value)
        return replace(self, dynamics=self.dynamics.valued(valuation), seeding=Seeding(found.policy))

    def agent(self, seed: int) -> MPCAgent:
        """A fresh agent for a batch of episodes.

        Raises:
            PlannerError: no such planner or setting.
        """
        bounds = action_bounds(self.environment.spec, self.device)
        planner = make_planner(self.planner, bounds, self.settings)
        return MPCAgent(
            self.dynamics, planner, bounds, seed, seeding=self.seeding, decision_ms=self.decision_ms
        )

    def make_planner(self) -> Planner:
        """The planner alone; a quick check that name and settings are right.

        Raises:
            PlannerError: no such planner or setting.
        """
        return make_planner(self.planner, action_bounds(self.environment.spec), self.settings)


def by_distance(tasks: Sequence[Task]) -> TrueRewards:
    """The control of each task: a reward of the distance to its handle alone; see `tasks.approach`."""
    return TrueRewards(approaches(tasks))


def oracle_pilot(
    environment: Environment, *, rewards: Callable[[Sequence[Task]], Rewards] | None = None, labels: int = 0,
    planner: str = PLANNER, settings: Mapping[str, int | float] | None = None,
    valuation: Valuation | None = None, decision_ms: float | None = None, seeding: Seeding | None = None,
) -> Pilot:  # fmt: skip
    """Plans in the true simulator, by the true rewards unless told otherwise: the bound of every result."""
    return Pilot(
        environment, environment.make_scene(()), OracleDynamics(environment.make_scene(()), valuation),
        rewards or TrueRewards, "oracle", "learned" if rewards else "true", labels if rewards else 0,
        planner, dict(settings or {}), "cpu", decision_ms, seeding,
    )  # fmt: skip


def learned_pilot(
    environment: Environment, dynamics: EnsembleDynamics, *,
    rewards: Callable[[Sequence[Task]], Rewards] | None = None, labels: int = 0,
    planner: str = PLANNER, settings: Mapping[str, int | float] | None = None,
    particles: int = PARTICLES, propagation: Propagation = "tsinf", device: torch.device | str = "cpu",
    precision: Precision = "auto", compiled: bool = False, valuation: Valuation | None = None,
    decision_ms: float | None = None, seeding: Seeding | None = None,
) -> Pilot:  # fmt: skip
    """Plans in the ensemble, by learned `rewards`, or by the true ones where there are none."""
    imagination = Imagination(dynamics, particles, propagation, precision, compiled)
    return Pilot(
        environment, environment.make_scene(()), LearnedDynamics(imagination, valuation),
        rewards or TrueRewards, "learned", "learned" if rewards else "true", labels if rewards else 0,
        planner, dict(settings or {}), device, decision_ms, seeding,
    )  # fmt: skip
