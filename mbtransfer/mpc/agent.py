"""MPC agent: plan, execute the first action, shift the plan, repeat."""

from dataclasses import dataclass
from time import perf_counter

import numpy as np
import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor

from mbtransfer.mpc.objective import Dynamics, Policy, Reward
from planners.base import Bounds, Plan, Planner, shift
from tasks.spec import EnvSpec


def action_bounds(spec: EnvSpec, device: torch.device | str = "cpu") -> Bounds:
    """The action box of an environment."""
    low = torch.tensor([variable.low for variable in spec.action], device=device)
    return Bounds(low, torch.tensor([variable.high for variable in spec.action], device=device))


@dataclass(frozen=True)
class Seeding:
    """A policy whose roll-outs are among the candidates (as in TD-MPC2, Hansen et al. 2024).

    Attributes:
        policy: maps observations to actions.
        plans: roll-outs per decision.
        noise: standard deviation of the noise on their actions, as a share of half the action range; the first one
            has none.
    """

    policy: Policy
    plans: int = 16
    noise: float = 0.2


class MPCAgent:
    """Model-predictive control of B episodes at once; each episode's last plan is the next warm start.

    Args:
        dynamics: predicts where plans lead.
        planner: searches for plans.
        bounds: the action box.
        seed: seed of all randomness.
        seeding: a policy that proposes plans; None for none.
        decision_ms: time budget for the decision of one episode (anytime planning), milliseconds; B episodes have
            B times as much; None for no limit.
        replan: control steps between two decisions; in between the last plan is followed.
    """

    def __init__(
        self,
        dynamics: Dynamics,
        planner: Planner,
        bounds: Bounds,
        seed: int = 0,
        *,
        seeding: Seeding | None = None,
        decision_ms: float | None = None,
        replan: int = 1,
    ) -> None:
        self.dynamics, self.planner, self.bounds = dynamics, planner, bounds
        self.generator = torch.Generator(bounds.low.device).manual_seed(seed)
        self._seeding, self._seconds = seeding, None if decision_ms is None else decision_ms / 1e3
        self._replan, self._left = replan, 0
        self._plan: Tensor | None = None
        self._elites: Tensor | None = None
        self._pause: Tensor | None = None
        self.plan: Plan | None = None
        """The last decision, for observers."""
        self.violation: Tensor | None = None
        """How far the last plans violate a constraint, [B]; None if there are no constraints."""
        self.reset()

    def __repr__(self) -> str:
        """A one-line description."""
        return f"MPCAgent({type(self.planner).__name__}, horizon {self.planner.horizon}, {self.bounds.low.device})"

    def reset(self) -> None:
        """Forget all plans, because new episodes begin."""
        self._plan = self._elites = self._pause = None
        self._left = 0

    def keep(self, rows: Tensor) -> None:
        """Keep only some of the episodes; `rows` is a mask or an index."""
        held = (self._plan, self._elites, self._pause)
        self._plan, self._elites, self._pause = (None if x is None else x[rows] for x in held)

    def forget(self, rows: Tensor) -> None:
        """Drop the plans of some of the episodes, because their goal has changed; `rows` is a mask.

        These episodes release and rest for one control step: a first plan is crude, and would drag a held object along.
        """
        if self._plan is not None and bool(rows.any()):
            self._left = 0
            self._pause = rows.to(self._plan.device)
            self._plan = torch.where(self._pause[:, None, None], self.bounds.middle, self._plan)
            if self._elites is not None:
                dropped = self._pause[:, None, None, None]
                self._elites = torch.where(dropped, self.bounds.middle, self._elites)

    def act(self, obs: Float[Tensor, "B O"], state: np.ndarray, reward: Reward) -> Float[Tensor, "B A"]:
        """The next action of each episode."""
        if self._plan is not None and self._left:
            return self._followed(self._plan)
        shape = (obs.shape[0], self.planner.horizon, self.bounds.low.shape[0])
        start = self.bounds.middle.expand(shape) if self._plan is None else self._plan
        plan = self.search(obs, state, reward, start)
        self._plan, self._elites = plan.shifted(), plan.shifted_elites()
        action = plan.actions[:, 0]
        if self._pause is not None:
            action = torch.where(self._pause[:, None], self.bounds.middle, action)
            self._plan = torch.where(self._pause[:, None, None], plan.shifted(0), self._plan)
            self._pause = None
        self._left = self._replan - 1
        return action

    def search(
        self, obs: Float[Tensor, "B O"], state: np.ndarray, reward: Reward, start: Float[Tensor, "B H A"]
    ) -> Plan:
        """Search for a plan from `start`, the elites of the last decision and the policy's roll-outs."""
        deadline = None if self._seconds is None else perf_counter() + self._seconds * len(obs)
        outlook = self.dynamics.objective(obs, state, reward, self.generator)
        proposals = self._proposals(obs, state)
        plan = self.planner.plan(outlook, start, self.generator, proposals=proposals, deadline=deadline)
        self.plan = plan
        self.violation = outlook.violation(plan.actions) if self.dynamics.estimator.constraints else None
        return plan

    def _followed(self, plan: Float[Tensor, "B H A"]) -> Float[Tensor, "B A"]:
        """The next action of the existing plans."""
        self._left -= 1
        self._plan = shift(plan)
        self._elites = None if self._elites is None else shift(self._elites)
        return plan[:, 0]

    def _proposals(self, obs: Float[Tensor, "B O"], state: np.ndarray) -> Float[Tensor, "B M H A"] | None:
        """The elites of the last decision, and roll-outs of the policy."""
        groups = [] if self._elites is None else [self._elites]
        if self._seeding is not None:
            groups.append(self._rolled(self._seeding, obs, state))
        return torch.cat(groups, dim=1) if groups else None

    def _rolled(
        self, seeding: Seeding, obs: Float[Tensor, "B O"], state: np.ndarray
    ) -> Float[Tensor, "B M H A"]:
        """Roll-outs of the policy; all but the first of each episode have noise on their actions."""
        spread = torch.full((seeding.plans, 1), seeding.noise, device=obs.device) * self.bounds.half
        spread[0] = 0.0
        spread = repeat(spread, "m a -> (b m) a", b=len(obs))

        def noisy(rows: Float[Tensor, "R O"]) -> Float[Tensor, "R A"]:
            noise = torch.randn(spread.shape, generator=self.generator, device=obs.device)
            return self.bounds.clamp(seeding.policy(rows) + spread * noise)

        rows = repeat(obs, "b o -> (b m) o", m=seeding.plans)
        states = repeat(state, "b s -> (b m) s", m=seeding.plans)
        plans = self.dynamics.rollouts(rows, states, noisy, self.planner.horizon)
        return rearrange(plans, "(b m) h a -> b m h a", m=seeding.plans)
