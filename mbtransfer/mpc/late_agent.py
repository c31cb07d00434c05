"""MPC in a world that does not wait: the robot acts on while it plans, and a plan that takes long comes late.

A decision that begins with the observation of control step t, and takes d steps, acts from step t + d; until then the
last plan goes on. The delay can be compensated: the plan is made for where the model says the world will be when it
is ready, after the actions that are going to be executed in the meantime (the classical answer to a known delay, a
Smith predictor; for MPC Findeisen and Allgower 2004, "Computational delay in nonlinear model predictive control").
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mbtransfer.errors import UserError
from mbtransfer.mpc.agent import MPCAgent
from mbtransfer.mpc.objective import Dynamics, Reward
from planners.base import Bounds, Planner, shift


@dataclass(frozen=True)
class Clock:
    """How long decisions take, in a world that goes on meanwhile.

    Attributes:
        delays: control steps of one decision after the other; the first follows the last.
        compensate: plan for where the world will be once the plan is ready, if it takes as long as the last one.

    Raises:
        UserError: no delays, or a negative one.
    """

    delays: tuple[int, ...]
    compensate: bool = True

    def __post_init__(self) -> None:
        if not self.delays or min(self.delays) < 0:
            raise UserError("a clock needs delays of at least 0 control steps")

    @classmethod
    def of(
        cls, latencies_ms: Sequence[float], control_dt: float, speed: float = 1.0, compensate: bool = True
    ) -> "Clock":
        """The clock of some latencies, in milliseconds, in a world that runs `speed` times as fast.

        A plan acts from the first control step that begins after it is ready.
        """
        steps = (ms * speed / (1e3 * control_dt) for ms in latencies_ms)
        return cls(tuple(math.ceil(step - 1e-9) for step in steps), compensate)


class LateAgent(MPCAgent):
    """Plans while the last plan goes on; one decision at a time, for all episodes together.

    Args:
        dynamics: predicts where plans lead.
        planner: searches for plans.
        bounds: the action box.
        clock: how long decisions take.
        options: those of `MPCAgent`.
    """

    def __init__(
        self, dynamics: Dynamics, planner: Planner, bounds: Bounds, *, clock: Clock, **options: Any
    ) -> None:
        self.clock = clock
        super().__init__(dynamics, planner, bounds, **options)

    def reset(self) -> None:
        """See `MPCAgent.reset`."""
        super().reset()
        self._start: Tensor | None = (
            None  # where the next search begins, as seen at `_since` steps before now
        )
        self._coming: Tensor | None = None
        self._wait, self._since, self._decisions = 0, 0, 0

    def keep(self, rows: Tensor) -> None:
        """See `MPCAgent.keep`."""
        super().keep(rows)
        self._start, self._coming = (None if x is None else x[rows] for x in (self._start, self._coming))

    def forget(self, rows: Tensor) -> None:
        """Drop the plans of some of the episodes; these rest until the first plan for their new goal is ready."""
        rows = rows.to(self.bounds.middle.device)

        def dropped(plans: Tensor | None) -> Tensor | None:
            if plans is None:
                return None
            return torch.where(rows.view(-1, *[1] * (plans.dim() - 1)), self.bounds.middle, plans)

        self._plan, self._start, self._coming = map(dropped, (self._plan, self._start, self._coming))
        self._elites = dropped(self._elites)

    def act(self, obs: Float[Tensor, "B O"], state: np.ndarray, reward: Reward) -> Float[Tensor, "B A"]:
        """The action of the plan that is ready; a new decision begins whenever there is none under way."""
        if self._plan is None:
            self._plan = self.bounds.middle.expand(len(obs), self.planner.horizon, -1)
        self._arrive()
        if self._coming is None:
            self._decide(self._plan, obs, state, reward)
            self._arrive()  # a decision that takes no time
        action = self._plan[:, 0]
        self._plan, self._wait, self._since = shift(self._plan), self._wait - 1, self._since + 1
        return action

    def _arrive(self) -> None:
        """Take the plan under way if it is ready."""
        if self._coming is not None and self._wait <= 0:
            self._plan, self._coming = self._coming, None

    def _decide(
        self, plan: Float[Tensor, "B H A"], obs: Float[Tensor, "B O"], state: np.ndarray, reward: Reward
    ) -> None:
        """Begin a decision; it is simulated at once, and used when its time is over."""
        delays = self.clock.delays
        delay = delays[self._decisions % len(delays)]
        last = delays[(self._decisions - 1) % len(delays)] if self._decisions else delay
        ahead = last if self.clock.compensate else 0
        if ahead:
            held = torch.arange(ahead, device=plan.device).clamp(max=plan.shape[1] - 1)
            obs, state = self.dynamics.ahead(obs, state, plan[:, held])
        start = plan if self._start is None else shift(self._start, self._since)
        self._elites = None if self._elites is None else shift(self._elites, self._since + ahead)
        made = self.search(obs, state, reward, shift(start, ahead))
        self._start, self._elites, self._since = made.shifted(0), made.elites, -ahead
        self._coming = shift(made.actions, max(delay - ahead, 0))
        self._wait, self._decisions = max(delay, ahead), self._decisions + 1
