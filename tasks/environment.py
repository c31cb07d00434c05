"""The environment interface: spec, named tasks and a simulator."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from tasks.errors import TaskError, no_simulator
from tasks.simulator import Simulator
from tasks.spec import EnvSpec, nearest
from tasks.task import Reach, Task, move, reach

COPY = "environment.yaml"
"""The copy of what declares an environment, in the folder of a dataset or model, for machines that lack the file."""


@dataclass(frozen=True)
class Recorded:
    """How episodes that others have recorded of the same world become ours.

    Attributes:
        size: columns of its observations.
        states: the states [n S] of an episode, from its observations [n size].
    """

    size: int
    states: Callable[[ndarray], ndarray]


Play = Callable[[int, np.random.Generator], Callable[[ndarray, ndarray], ndarray]]
"""For B episodes and a source of randomness: observations [B O] and states [B S] to actions [B A]."""

Goals = Callable[[ndarray, Collection[str], np.random.Generator], list[Task]]
"""For start states [B S], names of locked fixtures and a source of randomness: a goal for each start."""


@dataclass(frozen=True, repr=False)
class Environment:
    """One fixed world and what is commonly asked in it.

    Attributes:
        spec: what is seen and done.
        tasks: the named tasks.
        make_scene: builds the simulator; takes the names of fixtures to lock in place.
        cameras: names of its cameras, best first.
        recorded: how to read what others recorded of it, where they did.
        simulated: whether there is a simulator; without one it is known by logs alone.
        play: scripted play that comes with it, if any.
        goals: draws goals to practise, where these are more than one fixture at another place.
        body: columns about the body as a whole, such as its speed and height, for commands to practise.
        declared: the text of the file that declares it; empty where none does.
    """

    spec: EnvSpec
    tasks: Mapping[str, Task]
    make_scene: Callable[[tuple[str, ...]], Simulator]
    cameras: tuple[str, ...] = ()
    recorded: Recorded | None = None
    simulated: bool = True
    play: Play | None = None
    goals: Goals | None = None
    body: tuple[str, ...] = ()
    declared: str = ""

    def __repr__(self) -> str:
        """One line for people."""
        columns, actions = len(self.spec.observation), len(self.spec.action)
        return f"Environment({self.spec.name!r}: {columns} columns, {actions} actions, {len(self.tasks)} named tasks)"

    @property
    def privileged(self) -> bool:
        """Whether some of its tasks are judged by the simulator's state."""
        return any(task.privileged for task in self.tasks.values())

    def need_simulator(self, what: str, instead: str) -> None:
        """Refuse what steps the world where nothing can be stepped.

        Args:
            what: needs a simulator, in messages.
            instead: what the user can do without one.

        Raises:
            TaskError: there is no simulator.
        """
        if not self.simulated:
            raise no_simulator(self.spec.name, what, instead)

    def task(self, name: str) -> Task:
        """The named task.

        Raises:
            TaskError: there is no such task; names the nearest one.
        """
        if name not in self.tasks:
            raise TaskError(f"{self.spec.name}: no task {name!r}{nearest(name, list(self.tasks))}")
        return self.tasks[name]

    def move(self, fixture: str, to: float) -> Task:
        """The task of moving a fixture; see `tasks.task.move`."""
        return move(self.spec, fixture, to)

    def reach(self, target: str | Sequence[float]) -> Reach:
        """The task of reaching a point or a handle; see `tasks.task.reach`."""
        return reach(self.spec, target)
