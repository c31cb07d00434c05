"""An environment as everything above `tasks/` sees it: a spec, named tasks, and a scene to run them in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from numpy import ndarray

from tasks.errors import TaskError
from tasks.scene import Scene
from tasks.spec import EnvSpec, nearest
from tasks.task import Move, Reach, Task, move, reach


@dataclass(frozen=True)
class Recorded:
    """How episodes that others have recorded of the same world become ours.

    Attributes:
        size: columns of its observations.
        states: the states [n S] of an episode, from its observations [n size].
    """

    size: int
    states: Callable[[ndarray], ndarray]


@dataclass(frozen=True)
class Environment:
    """One fixed world and what is commonly asked in it.

    Attributes:
        spec: what is seen and done.
        tasks: the named tasks.
        make_scene: builds the simulator; takes the names of fixtures to lock in place.
        cameras: names of its cameras, best first.
        recorded: how to read what others recorded of it, where they did.
    """

    spec: EnvSpec
    tasks: Mapping[str, Task]
    make_scene: Callable[[tuple[str, ...]], Scene]
    cameras: tuple[str, ...] = ()
    recorded: Recorded | None = None

    @property
    def needs_state(self) -> bool:
        """Whether some of its tasks are judged by the simulator's state."""
        return any(task.needs_state for task in self.tasks.values())

    def task(self, name: str) -> Task:
        """The named task.

        Raises:
            TaskError: there is no such task; names the nearest one.
        """
        if name not in self.tasks:
            raise TaskError(f"{self.spec.name}: no task {name!r}{nearest(name, list(self.tasks))}")
        return self.tasks[name]

    def move(self, fixture: str, to: float) -> Move:
        """The task of moving a fixture; see `tasks.task.move`."""
        return move(self.spec, fixture, to)

    def reach(self, target: str | Sequence[float]) -> Reach:
        """The task of reaching a point or a handle; see `tasks.task.reach`."""
        return reach(self.spec, target)
