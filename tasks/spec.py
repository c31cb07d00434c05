"""Environment specs: columns with names, units and ranges."""

from dataclasses import dataclass
from difflib import get_close_matches

from tasks.errors import TaskError


@dataclass(frozen=True)
class Variable:
    """One column of an observation or an action."""

    name: str
    unit: str
    low: float
    high: float


@dataclass(frozen=True)
class Fixture:
    """One thing that can be moved: a joint with limits, and the handle by which the hand moves it.

    `position`, `velocity` and `handle` are columns of the observation; `handle` is the vector from the
    hand to the handle. Two fixtures may share a handle (a kettle slides in x and in y). `linked` are columns beside its
    own on which its motion depends or which it changes: a drawer's lock, and the button that opens the lock, both name
    the column that tells whether the lock is open.
    """

    name: str
    position: int
    velocity: int
    handle: tuple[int, int, int]
    low: float
    high: float
    unit: str
    linked: tuple[int, ...] = ()

    @property
    def span(self) -> float:
        """Length of the joint's range, in `unit`."""
        return self.high - self.low


@dataclass(frozen=True)
class EnvSpec:
    """The observation (O columns), the action (A columns), the fixtures and the clock of an environment.

    `hand` and `hand_velocity` are columns of the observation, along x, y and z, where there is a hand;
    `hand_actions` are the columns of the action that drive it along the same axes, where there are such. `arm` are
    the columns that say how the arm behind the hand stands and moves: without them no model could tell where an
    action takes the hand. `axes` are the nine columns of them that hold the hand's own x, y and z axis in the room,
    one axis after the other, where the hand can turn; `angles` those that are angles in radians; `constant` those that
    never change in an episode, such as a mass.
    """

    name: str
    observation: tuple[Variable, ...]
    action: tuple[Variable, ...]
    fixtures: tuple[Fixture, ...]
    control_dt: float
    episode_steps: int
    hand: tuple[int, ...] = ()
    hand_velocity: tuple[int, ...] = ()
    hand_actions: tuple[int, int, int] | None = None
    arm: tuple[int, ...] = ()
    axes: tuple[int, ...] = ()
    angles: tuple[int, ...] = ()
    constant: tuple[int, ...] = ()

    @property
    def obs_size(self) -> int:
        """O, the number of observation columns."""
        return len(self.observation)

    @property
    def action_size(self) -> int:
        """A, the number of action columns."""
        return len(self.action)

    def index(self, name: str) -> int:
        """Column of an observation variable.

        Raises:
            TaskError: there is no such variable; names the nearest one.
        """
        names = [variable.name for variable in self.observation]
        if name not in names:
            raise TaskError(f"{self.name}: no observation {name!r}{nearest(name, names)}")
        return names.index(name)

    def fixture(self, name: str) -> Fixture:
        """The fixture of that name.

        Raises:
            TaskError: there is no such fixture; names the nearest one.
        """
        for fixture in self.fixtures:
            if fixture.name == name:
                return fixture
        names = [fixture.name for fixture in self.fixtures]
        raise TaskError(f"{self.name}: no fixture {name!r}{nearest(name, names)}")


def nearest(name: str, names: list[str]) -> str:
    """The end of an error line: the closest valid name, or all of them."""
    close = get_close_matches(str(name), names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(names)}"
