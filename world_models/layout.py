"""Layout of observations: which columns belong to which object."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le


@dataclass(frozen=True)
class Body:
    """The columns of one thing that moves.

    `vector` holds the three columns of the vector from the hand to it; empty for the hand itself. The hand's
    `velocities` may go on with the columns of the arm behind it.
    """

    name: str
    positions: tuple[int, ...]
    velocities: tuple[int, ...]
    vector: tuple[int, ...] = ()


@dataclass(frozen=True)
class Layout:
    """Names, limits and bodies of the observation columns (O), and the number of action columns (A).

    A column whose `limited` is true is a position with known joint limits: inputs are scaled by them and
    predictions are clamped to them, also for joints that never moved in the data. `hand_actions` are the
    action columns that drive the hand along x, y and z; empty where there are none such. `angles` are columns
    of unlimited angles in radians, which may count turns: networks read their sine and cosine instead, so that
    a turn never seen is like any other. `axes` are the nine columns of the hand's own x, y and z axis, where it can
    turn: networks then also read the vectors to the objects as they lie in the hand. `constant` are columns that never
    change in an episode, such as a mass: every block reads them, none moves them.
    """

    columns: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    limited: tuple[bool, ...]
    action_size: Annotated[int, Ge(1), Le(1_000_000)]
    hand: Body | None = None
    objects: tuple[Body, ...] = ()
    hand_actions: tuple[int, ...] = ()
    angles: tuple[int, ...] = ()
    axes: tuple[int, ...] = ()
    constant: tuple[int, ...] = ()

    @property
    def obs_size(self) -> int:
        """O."""
        return len(self.columns)
