"""A task of Meta-World: its reward and success, begun where it begins there."""

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from tasks.physics_task import PhysicsTask
from tasks.spec import Fixture

BEGUN = 0.05
"""An episode may start with each fixture within this share of its range from where Meta-World starts it."""


@dataclass(frozen=True)
class Job(PhysicsTask):
    """A task of Meta-World.

    Attributes:
        moved: the fixtures that it moves.
        begin: where they are at Meta-World's reset.
    """

    moved: tuple[Fixture, ...] = ()
    begin: tuple[float, ...] = ()

    @property
    def fixtures(self) -> tuple[Fixture, ...]:
        """What it moves."""
        return self.moved

    def fresh(self, obs: Float[Tensor, "*b W"]) -> Bool[Tensor, "*b"]:
        """Not fulfilled, and its fixtures about where Meta-World starts them."""
        there = ~self.success(obs)
        for fixture, place in zip(self.moved, self.begin, strict=True):
            there &= (obs[..., fixture.position] - place).abs() <= BEGUN * fixture.span
        return there
