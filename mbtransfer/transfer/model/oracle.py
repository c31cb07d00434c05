"""Planning in the true simulator for the true reward: the upper end of the normalisation."""

from dataclasses import dataclass
from typing import ClassVar

from mbtransfer.mpc.controller import PLANNER, simulator_controller
from mbtransfer.transfer.method import Method, Solution, Sources
from tasks.environment import Environment
from tasks.task import Task


@dataclass(frozen=True)
class Oracle(Method[Sources]):
    """Knows everything; the planner is that of `model`.

    Attributes:
        planner: name of the planner.
    """

    name: ClassVar[str] = "oracle"
    without_practice: ClassVar[bool] = True
    planner: str = PLANNER

    def lacks(self, environment: Environment) -> str:
        """A simulator that can return to a state."""
        return "a simulator to plan in" if environment.make_scene(()).live else ""

    def pretrain(self, sources: Sources) -> Sources:
        """Nothing."""
        return sources

    def solve(self, carried: Sources, target: Task) -> Solution:
        """Plan in the simulator."""
        return Solution(simulator_controller(carried.model.environment, planner=self.planner))
