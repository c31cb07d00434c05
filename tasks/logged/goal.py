"""Tasks of declared environments: bring one column to a value."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tasks.spec import Fixture
from tasks.task import Task

FAR = 3.0
"""A fair episode starts at least this many tolerances away from the target."""


@dataclass(frozen=True)
class ColumnGoal(Task):
    """Bring one observation column within a tolerance of a value.

    Attributes:
        column: of the observation.
        to: the value, in the column's unit.
        tolerance: how near is there, in the same unit.
        span: length of the column's range, by which the way to go is measured.
        fixture: what has the column as its position and is moved by a handle; None where nothing is held.
    """

    column: int
    to: float
    tolerance: float
    span: float
    fixture: Fixture | None = None

    def reward(
        self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b O"]
    ) -> Float[Tensor, "*b"]:
        """Minus three times the way to go (share of range), plus 1 there; minus the way to the handle (m)."""
        reward = self.success(next_obs).to(next_obs) - 3.0 * self._gap(next_obs) / self.span
        if self.fixture is None:
            return reward
        return reward - torch.linalg.vector_norm(next_obs[..., list(self.fixture.handle)], dim=-1)

    def success(self, obs: Float[Tensor, "*b O"]) -> Bool[Tensor, "*b"]:
        """Within the tolerance of the target."""
        return self._gap(obs) <= self.tolerance

    def is_valid_start(self, obs: Float[Tensor, "*b O"]) -> Bool[Tensor, "*b"]:
        """At least `FAR` tolerances away."""
        return self._gap(obs) >= FAR * self.tolerance

    @property
    def fixtures(self) -> tuple[Fixture, ...]:
        """The fixture, if there is one."""
        return () if self.fixture is None else (self.fixture,)

    def _gap(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b"]:
        return (obs[..., self.column] - self.to).abs()
