"""Planning objectives: returns of action sequences in a model or in the simulator."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, get_args, runtime_checkable

import numpy as np
import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor

from mbtransfer.errors import UserError
from tasks.simulator import Simulator
from world_models.dynamics.rollout import Imagination, Imagined
from world_models.uncertainty.disagreement import DisagreementScale, disagreement

Risk = Literal["mean", "cvar", "optimistic"]

Value = Callable[[Float[Tensor, "*b O"]], Float[Tensor, "*b"]]
"""The return still to come from a state; at the end of the horizon it stands for everything beyond."""

Constraint = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Maps obs, action and next_obs to how far a transition exceeds what is allowed; zero or less is allowed."""

FORBIDDEN = 1e5
"""Penalty for violating a constraint at all: larger than any reward."""


@dataclass(frozen=True)
class ReturnEstimator:
    """Computes the return of a plan from the rewards along P particles.

    Attributes:
        discount: discount factor per control step.
        risk: the mean of the particles, of the worst `tail` of them (CVaR; Rockafellar and Uryasev 2000), or
            of the best.
        tail: share of the particles that counts for `cvar` and `optimistic`; at least one does.
        uncertainty_penalty: cost, per control step, of disagreement at its highest percentile; a negative value is a
            bonus (Sekar et al. 2020, Plan2Explore, planned online).
        scale: converts disagreement into percentiles; needed with `uncertainty_penalty`.
        value: the value at the end of the horizon; None for zero.
        constraints: constraints that plans must satisfy, in every particle and step.

    Raises:
        UserError: a setting out of range, or a penalty without a scale.
    """

    discount: float = 1.0
    risk: Risk = "mean"
    tail: float = 0.5
    uncertainty_penalty: float = 0.0
    scale: DisagreementScale | None = None
    value: Value | None = None
    constraints: tuple[Constraint, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.discount <= 1:
            raise UserError(f"discount must be above 0 and at most 1, not {self.discount}")
        if not 0 < self.tail <= 1:
            raise UserError(f"tail must be above 0 and at most 1, not {self.tail}")
        if self.risk not in get_args(Risk):
            raise UserError(f"no risk {self.risk!r}; there are {', '.join(get_args(Risk))}")
        if self.uncertainty_penalty and self.scale is None:
            raise UserError("uncertainty_penalty needs the model's scale of disagreement; fit it again")

    def returns(
        self, rewards: Float[Tensor, "H Q R"], futures: Imagined, actions: Float[Tensor, "H 1 R A"]
    ) -> Float[Tensor, " R"]:
        """The return of each plan.

        Args:
            rewards: reward of each step and particle.
            futures: the predicted states.
            actions: the plans.
        """
        if self.discount < 1:
            power = torch.arange(len(rewards), device=rewards.device)
            rewards = rewards * (self.discount**power)[:, None, None]
        total = rewards.sum(dim=0)
        if self.value is not None:
            total = total + self.discount ** len(rewards) * self.value(futures.obs[-1])
        returns = self._over_particles(total)
        if self.uncertainty_penalty and self.scale is not None:
            returns = returns - self.uncertainty_penalty * self.scale.percentile(disagreement(futures)).sum(
                dim=0
            )
        if self.constraints:
            beyond = self.violation(futures, actions)
            returns = torch.where(beyond > 0, -FORBIDDEN - beyond, returns)
        return returns

    def violation(self, futures: Imagined, actions: Float[Tensor, "H 1 R A"]) -> Float[Tensor, " R"]:
        """The largest violation of a constraint by each plan, over steps and particles; zero if there is none."""
        path = futures.obs
        each = [
            rule(path[:-1], actions.expand(*path[1:].shape[:-1], -1), path[1:]) for rule in self.constraints
        ]
        if not each:
            return path.new_zeros(path.shape[2])
        return torch.stack(each).flatten(0, 2).amax(dim=0).clamp(min=0.0)

    def _over_particles(self, total: Float[Tensor, "Q R"]) -> Float[Tensor, " R"]:
        if self.risk == "mean" or len(total) == 1:
            return total.mean(dim=0)
        count = max(1, round(self.tail * len(total)))
        return total.topk(count, dim=0, largest=self.risk == "optimistic").values.mean(dim=0)


Reward = Callable[[Tensor, Tensor, Tensor], Tensor]
"""obs [*h R O], action [*h R A], next_obs [*h R O] to [*h R]: `Task.reward`, or a `TaskReward`."""

Policy = Callable[[Float[Tensor, "R O"]], Float[Tensor, "R A"]]
"""Maps observations to actions; a policy that pursues a goal already contains it."""


Future = tuple[Imagined, Float[Tensor, "points Q R W"]]
"""Predicted states, and those that rewards are computed from: they differ if rewards need the simulator's state."""


class TrajectoryObjective:
    """Returns of candidate plans: the `Objective` of a planner.

    Args:
        follow: maps plans [R H A] of B * N rows to their futures (with one particle in the true simulator), and to
            the states that rewards are computed from.
        reward: reward of each transition.
        estimator: computes returns from rewards.
    """

    def __init__(
        self, follow: Callable[[Tensor], Future], reward: Reward, estimator: ReturnEstimator
    ) -> None:
        self._follow, self._reward, self._estimator = follow, reward, estimator

    def __call__(self, candidates: Float[Tensor, "B N H A"]) -> Float[Tensor, "B N"]:
        """The return of each candidate."""
        futures, path, actions = self._futures(candidates)
        rewards = self._reward(path[:-1], actions.expand(*path[1:].shape[:-1], -1), path[1:])
        returns = self._estimator.returns(rewards, futures, actions)
        return rearrange(returns, "(b n) -> b n", b=len(candidates))

    def violation(self, plans: Float[Tensor, "B H A"]) -> Float[Tensor, " B"]:
        """The constraint violation of each episode's plan; zero if it satisfies all constraints."""
        futures, _, actions = self._futures(plans[:, None])
        return self._estimator.violation(futures, actions)

    def _futures(self, candidates: Float[Tensor, "B N H A"]) -> tuple[Imagined, Tensor, Tensor]:
        plans = rearrange(candidates, "b n h a -> (b n) h a")
        return *self._follow(plans), rearrange(plans, "r h a -> h 1 r a")


@runtime_checkable
class Dynamics(Protocol):
    """Predicts where plans lead from the current state of each episode."""

    estimator: ReturnEstimator

    def with_returns(self, estimator: ReturnEstimator) -> "Dynamics":
        """The same dynamics with another estimator of returns."""
        ...

    def objective(
        self, obs: Float[Tensor, "B O"], state: np.ndarray, reward: Reward, generator: torch.Generator
    ) -> TrajectoryObjective:
        """Returns of candidate plans."""
        ...

    def rollouts(
        self, obs: Float[Tensor, "B O"], state: np.ndarray, policy: Policy, horizon: int
    ) -> Float[Tensor, "B H A"]:
        """The actions that a policy would take from here."""
        ...

    def ahead(
        self, obs: Float[Tensor, "B O"], state: np.ndarray, actions: Float[Tensor, "B H A"]
    ) -> tuple[Float[Tensor, "B O"], np.ndarray]:
        """Observations and simulator states after some actions; states stay as they are where nobody knows them."""
        ...


class LearnedDynamics:
    """Predicts with the ensemble; needs observations only."""

    def __init__(self, imagination: Imagination, estimator: ReturnEstimator | None = None) -> None:
        self.imagination, self.estimator = imagination, estimator or ReturnEstimator()

    def with_returns(self, estimator: ReturnEstimator) -> "LearnedDynamics":
        """See `Dynamics.with_returns`."""
        return LearnedDynamics(self.imagination, estimator)

    def objective(
        self, obs: Float[Tensor, "B O"], state: np.ndarray, reward: Reward, generator: torch.Generator
    ) -> TrajectoryObjective:
        """See `Dynamics.objective`."""

        def follow(plans: Float[Tensor, "R H A"]) -> Future:
            starts = repeat(obs, "b o -> (b n) o", n=len(plans) // len(obs))
            futures = self.imagination(starts, plans, generator)
            return futures, futures.obs

        return TrajectoryObjective(follow, reward, self.estimator)

    def rollouts(
        self, obs: Float[Tensor, "B O"], state: np.ndarray, policy: Policy, horizon: int
    ) -> Float[Tensor, "B H A"]:
        """See `Dynamics.rollouts`; the policy acts on the mean of the particles."""
        actions: list[Tensor] = []
        for _ in range(horizon):
            actions.append(policy(obs))
            obs = self.imagination(obs, actions[-1][:, None]).obs[-1].mean(dim=0)
        return torch.stack(actions, dim=1)

    def ahead(
        self, obs: Float[Tensor, "B O"], state: np.ndarray, actions: Float[Tensor, "B H A"]
    ) -> tuple[Float[Tensor, "B O"], np.ndarray]:
        """See `Dynamics.ahead`: the mean of the particles."""
        return self.imagination(obs, actions).obs[-1].mean(dim=0), state


class OracleDynamics:
    """Predicts with the true simulator: an upper bound on results, and an expert for collecting data.

    Planning takes larger time steps if the scene offers them; actions are executed with the true ones.
    """

    def __init__(self, scene: Simulator, estimator: ReturnEstimator | None = None) -> None:
        self.scene, self.estimator = scene.coarse or scene, estimator or ReturnEstimator()

    def with_returns(self, estimator: ReturnEstimator) -> "OracleDynamics":
        """See `Dynamics.with_returns`."""
        return OracleDynamics(self.scene, estimator)

    def objective(
        self, obs: Float[Tensor, "B O"], state: np.ndarray, reward: Reward, generator: torch.Generator
    ) -> TrajectoryObjective:
        """See `Dynamics.objective`; the true future is one particle.

        Raises:
            UserError: the planner needs gradients, which the simulator does not have.
        """

        def follow(plans: Float[Tensor, "R H A"]) -> Future:
            if plans.requires_grad:
                raise UserError(
                    "this planner needs gradients, which the simulator does not have; plan with a learned model"
                )
            starts = repeat(state, "b s -> (b n) s", n=len(plans) // len(state))
            after = self.scene.rollout(starts, plans.cpu().numpy())
            states = np.concatenate([starts[:, None], after], axis=1)
            path = rearrange(torch.from_numpy(self.scene.observe(states)).to(plans), "r h o -> h 1 r o")
            futures = Imagined(path, path, path.new_ones(path.shape[-1]))
            if not getattr(reward, "privileged", False):
                return futures, path
            truth = rearrange(torch.from_numpy(states).to(path.device), "r h s -> h 1 r s")
            return futures, torch.cat([path.double(), truth], dim=-1)

        return TrajectoryObjective(follow, reward, self.estimator)

    def rollouts(
        self, obs: Float[Tensor, "B O"], state: np.ndarray, policy: Policy, horizon: int
    ) -> Float[Tensor, "B H A"]:
        """See `Dynamics.rollouts`."""
        actions: list[Tensor] = []
        for _ in range(horizon):
            actions.append(policy(obs))
            state = self.scene.rollout(state, actions[-1][:, None].cpu().numpy())[:, 0]
            obs = torch.from_numpy(self.scene.observe(state)).to(obs)
        return torch.stack(actions, dim=1)

    def ahead(
        self, obs: Float[Tensor, "B O"], state: np.ndarray, actions: Float[Tensor, "B H A"]
    ) -> tuple[Float[Tensor, "B O"], np.ndarray]:
        """See `Dynamics.ahead`."""
        state = self.scene.rollout(state, actions.cpu().numpy())[:, -1]
        return torch.from_numpy(self.scene.observe(state)).to(obs), state
