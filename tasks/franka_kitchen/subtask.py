"""A subtask of FrankaKitchen: several positions near their goal at once, judged as the environment judges."""

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from tasks.spec import Fixture
from tasks.task import Task

THRESHOLD = 0.3
"""Complete within this distance of the goal (`BONUS_THRESH` there), radians, metres and quaternions alike."""


@dataclass(frozen=True)
class Subtask(Task):
    """Bring one thing to where FrankaKitchen wants it.

    Attributes:
        moved: the fixtures that it moves; they share a handle, or all but the first are to stay.
        columns: of the positions that count.
        goal: where they shall be.
        handle: columns of the vector from the hand to the handle.
        way: distance from the goal at the environment's start.
    """

    moved: tuple[Fixture, ...]
    columns: tuple[int, ...]
    goal: tuple[float, ...]
    handle: tuple[int, int, int]
    way: float

    def reward(
        self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b O"]
    ) -> Float[Tensor, "*b"]:
        """Minus the way to the handle (m), minus three times the share of the way left, plus 1 when complete."""
        reach = next_obs[..., list(self.handle)].norm(dim=-1)
        return self.success(next_obs).to(reach) - reach - 3.0 * self.distance(next_obs) / self.way

    def success(self, obs: Float[Tensor, "*b O"]) -> Bool[Tensor, "*b"]:
        """Within `THRESHOLD` of the goal."""
        return self.distance(obs) < THRESHOLD

    @property
    def fixtures(self) -> tuple[Fixture, ...]:
        """What it moves."""
        return self.moved

    def distance(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b"]:
        """Euclidean distance of the positions from the goal."""
        return (obs[..., list(self.columns)] - obs.new_tensor(self.goal)).norm(dim=-1)
