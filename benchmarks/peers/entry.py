"""What a planner is to the comparison."""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Entry:
    """One planner, set up for the work.

    Attributes:
        search: `cem` or `mppi`; planners are compared with those of the same search.
        package: the distribution that it comes from.
        precision: what its network computes in.
        decide: one decision; warm-started by the last one where the planner does that.
        predict: the next observation by every member, by the very network that `decide` uses.
    """

    search: str
    package: str
    precision: str
    decide: Callable[[Float[Tensor, " O"]], Float[Tensor, " A"]]
    predict: Callable[[Float[Tensor, "B O"], Float[Tensor, "B A"]], Float[Tensor, "E B O"]]

    @property
    def name(self) -> str:
        """Tells it from all others."""
        return f"{self.package} {self.search} {self.precision}"
