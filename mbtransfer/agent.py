"""The agent: plan, do the first action, shift the plan, plan again."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mbtransfer.objective import Dynamics, Reward
from planners.base import Bounds, Plan, Planner
from tasks.spec import EnvSpec


def action_bounds(spec: EnvSpec, device: torch.device | str = "cpu") -> Bounds:
    """The action box of an environment."""
    low = torch.tensor([variable.low for variable in spec.action], device=device)
    return Bounds(low, torch.tensor([variable.high for variable in spec.action], device=device))


class MPCAgent:
    """Model-predictive control of B episodes at once; keeps each episode's plan as the next warm start."""

    def __init__(self, dynamics: Dynamics, planner: Planner, bounds: Bounds, seed: int = 0) -> None:
        self.dynamics, self.planner, self.bounds = dynamics, planner, bounds
        self.generator = torch.Generator(bounds.low.device).manual_seed(seed)
        self._plan: Tensor | None = None
        self._pause: Tensor | None = None
        self.plan: Plan | None = None
        """What was decided last, for those who watch."""

    def reset(self) -> None:
        """Forget all plans: new episodes begin."""
        self._plan = self._pause = None

    def keep(self, rows: Tensor) -> None:
        """Go on with some of the episodes only; `rows` is a mask or an index."""
        self._plan = None if self._plan is None else self._plan[rows]
        self._pause = None if self._pause is None else self._pause[rows]

    def forget(self, rows: Tensor) -> None:
        """Drop the plans of some of the episodes: they are after something else now; `rows` is a mask.

        They let go and rest for one control step: a first plan is crude, and would drag along what was held.
        """
        if self._plan is not None and bool(rows.any()):
            self._pause = rows.to(self._plan.device)
            self._plan = torch.where(self._pause[:, None, None], self.bounds.middle, self._plan)

    def act(self, obs: Float[Tensor, "B O"], state: np.ndarray, reward: Reward) -> Float[Tensor, "B A"]:
        """The next action of each episode."""
        shape = (obs.shape[0], self.planner.horizon, self.bounds.low.shape[0])
        start = self.bounds.middle.expand(shape) if self._plan is None else self._plan
        objective = self.dynamics.objective(obs, state, reward, self.generator)
        plan = self.planner.plan(objective, start, self.generator)
        self.plan, self._plan = plan, plan.shifted()
        action = plan.actions[:, 0]
        if self._pause is not None:
            action = torch.where(self._pause[:, None], self.bounds.middle, action)
            self._plan = torch.where(self._pause[:, None, None], plan.actions, self._plan)
            self._pause = None
        return action
