"""The bridge: a world (imagined or simulated) and a reward become the one function that a planner sees."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mbtransfer.errors import UserError
from mbtransfer.valuation import Valuation
from tasks.scene import Scene
from world_models.imagine import Imagination, Imagined

Reward = Callable[[Tensor, Tensor, Tensor], Tensor]
"""obs [*h R O], action [*h R A], next_obs [*h R O] to [*h R]: `Task.reward`, or a `Goal`."""

Policy = Callable[[Float[Tensor, "R O"]], Float[Tensor, "R A"]]
"""An action for each observation; where a goal belongs to it, it knows the goal."""


Future = tuple[Imagined, Float[Tensor, "points Q R W"]]
"""What is expected, and what rewards are judged by: the same, unless the reward needs the simulator's state."""


class Outlook:
    """Returns of candidate plans: the `Objective` of a planner.

    Args:
        follow: plans [R H A] of B * N rows to their futures (the true simulator's have one particle), and to
            the path by which rewards are judged.
        reward: of each transition.
        valuation: from rewards to returns.
    """

    def __init__(self, follow: Callable[[Tensor], Future], reward: Reward, valuation: Valuation) -> None:
        self._follow, self._reward, self._valuation = follow, reward, valuation

    def __call__(self, candidates: Float[Tensor, "B N H A"]) -> Float[Tensor, "B N"]:
        """The return of each candidate."""
        futures, path, actions = self._futures(candidates)
        rewards = self._reward(path[:-1], actions.expand(*path[1:].shape[:-1], -1), path[1:])
        return self._valuation.returns(rewards, futures, actions).unflatten(0, candidates.shape[:2])

    def violation(self, plans: Float[Tensor, "B H A"]) -> Float[Tensor, " B"]:
        """How far each episode's plan breaks a constraint; zero where it keeps all of them."""
        futures, _, actions = self._futures(plans[:, None])
        return self._valuation.violation(futures, actions)

    def _futures(self, candidates: Float[Tensor, "B N H A"]) -> tuple[Imagined, Tensor, Tensor]:
        plans = candidates.flatten(0, 1)
        return *self._follow(plans), plans.transpose(0, 1)[:, None]


@runtime_checkable
class Dynamics(Protocol):
    """Follows plans from where each episode stands."""

    valuation: Valuation

    def valued(self, valuation: Valuation) -> "Dynamics":
        """The same, with plans judged otherwise."""
        ...

    def objective(
        self, obs: Float[Tensor, "B O"], state: np.ndarray, reward: Reward, generator: torch.Generator
    ) -> Outlook:
        """Returns of candidate plans."""
        ...

    def rollouts(
        self, obs: Float[Tensor, "B O"], state: np.ndarray, policy: Policy, horizon: int
    ) -> Float[Tensor, "B H A"]:
        """What a policy would do from here."""
        ...


class LearnedDynamics:
    """Plans are followed by the ensemble; needs observations only."""

    def __init__(self, imagination: Imagination, valuation: Valuation | None = None) -> None:
        self.imagination, self.valuation = imagination, valuation or Valuation()

    def valued(self, valuation: Valuation) -> "LearnedDynamics":
        """See `Dynamics.valued`."""
        return LearnedDynamics(self.imagination, valuation)

    def objective(
        self, obs: Float[Tensor, "B O"], state: np.ndarray, reward: Reward, generator: torch.Generator
    ) -> Outlook:
        """See `Dynamics.objective`."""

        def follow(plans: Float[Tensor, "R H A"]) -> Future:
            starts = obs.repeat_interleave(len(plans) // len(obs), dim=0)
            futures = self.imagination(starts, plans, generator)
            return futures, futures.obs

        return Outlook(follow, reward, self.valuation)

    def rollouts(
        self, obs: Float[Tensor, "B O"], state: np.ndarray, policy: Policy, horizon: int
    ) -> Float[Tensor, "B H A"]:
        """See `Dynamics.rollouts`; the policy acts on the mean of the particles."""
        actions: list[Tensor] = []
        for _ in range(horizon):
            actions.append(policy(obs))
            obs = self.imagination(obs, actions[-1][:, None]).obs[-1].mean(dim=0)
        return torch.stack(actions, dim=1)


class OracleDynamics:
    """Plans are followed by the true simulator: the bound of every result, and an expert that fills data.

    In larger time steps where the scene offers them; what is done is done in the true ones.
    """

    def __init__(self, scene: Scene, valuation: Valuation | None = None) -> None:
        self.scene, self.valuation = scene.coarse or scene, valuation or Valuation()

    def valued(self, valuation: Valuation) -> "OracleDynamics":
        """See `Dynamics.valued`."""
        return OracleDynamics(self.scene, valuation)

    def objective(
        self, obs: Float[Tensor, "B O"], state: np.ndarray, reward: Reward, generator: torch.Generator
    ) -> Outlook:
        """See `Dynamics.objective`; the true future is one particle.

        Raises:
            UserError: a planner asks for gradients; the simulator has none.
        """

        def follow(plans: Float[Tensor, "R H A"]) -> Future:
            if plans.requires_grad:
                raise UserError(
                    "this planner needs gradients, which the simulator has not; plan with a learned model"
                )
            starts = np.repeat(state, len(plans) // len(state), axis=0)
            after = self.scene.rollout(starts, plans.cpu().numpy())
            states = np.concatenate([starts[:, None], after], axis=1)
            path = torch.from_numpy(self.scene.observe(states)).to(plans).transpose(0, 1)[:, None]
            futures = Imagined(path, path, path.new_ones(path.shape[-1]))
            if not getattr(reward, "needs_state", False):
                return futures, path
            truth = torch.from_numpy(states).to(path.device).transpose(0, 1)[:, None]
            return futures, torch.cat([path.double(), truth], dim=-1)

        return Outlook(follow, reward, self.valuation)

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
