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
        self.plan: Plan | None = None
        """What was decided last, for those who watch."""

    def reset(self) -> None:
        """Forget all plans: new episodes begin."""
        self._plan = None

    def keep(self, rows: Tensor) -> None:
        """Go on with some of the episodes only; `rows` is a mask or an index."""
        self._plan = None if self._plan is None else self._plan[rows]

    def forget(self, rows: Tensor) -> None:
        """Drop the plans of some of the episodes: they are after something else now; `rows` is a mask."""
        if self._plan is not None and bool(rows.any()):
            gone = rows.to(self._plan.device)[:, None, None]
            self._plan = torch.where(gone, self.bounds.middle, self._plan)

    def act(self, obs: Float[Tensor, "B O"], state: np.ndarray, reward: Reward) -> Float[Tensor, "B A"]:
        """The next action of each episode."""
        shape = (obs.shape[0], self.planner.horizon, self.bounds.low.shape[0])
        start = self.bounds.middle.expand(shape) if self._plan is None else self._plan
        objective = self.dynamics.objective(obs, state, reward, self.generator)
        plan = self.planner.plan(objective, start, self.generator)
        self.plan, self._plan = plan, plan.shifted()
        return plan.actions[:, 0]
