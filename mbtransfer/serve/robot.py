"""One robot behind the server: its goal, its plan, and one decision at a time."""

from dataclasses import dataclass
from time import perf_counter

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.evaluation.rollout import as_tensor
from mbtransfer.mpc.outlook import Forecaster
from mbtransfer.serve.goal import Pursuit
from mbtransfer.serve.watchdog import Proposal


@dataclass(frozen=True, eq=False)
class Decision:
    """What a robot's planner came to.

    Attributes:
        proposal: the plan, and what is known of it; None where nothing is pursued any more.
        now: what the robot works on, in words.
        done: whether the goal is fulfilled, by the observation.
        why: why nothing is pursued, in words.
        wait: seconds that the observation waited for other decisions.
        seconds: seconds of the decision itself.
    """

    proposal: Proposal | None
    now: str = ""
    done: bool = False
    why: str = ""
    wait: float = 0.0
    seconds: float = 0.0


@dataclass(eq=False)
class Kept:
    """The last plan that passed the watchdog: what is left of it is sent with every answer.

    Attributes:
        plan: the actions; none before the first.
        came: when its observation came, seconds of the clock `perf_counter`.
        steps: control steps since then.
    """

    plan: Float[ndarray, "H A"]
    came: float = 0.0
    steps: int = 0

    @property
    def tail(self) -> Float[ndarray, "n A"]:
        """What is left of it, the action for this control step first."""
        return self.plan[self.steps :]


@dataclass(eq=False)
class Robot:
    """A robot. Its pursuit belongs to the planning thread, the rest to the server's.

    Attributes:
        number: counts the robots since the start.
        pursuit: what it does; None for nothing.
        kept: the last plan that passed.
    """

    number: int
    kept: Kept
    pursuit: Pursuit | None = None


@torch.no_grad()
def decide(
    pursuit: Pursuit,
    forecast: Forecaster,
    obs: Float[ndarray, " O"],
    device: torch.device | str,
    begin: float,
    wait: float,
) -> Decision:
    """Plan from an observation, and ask every member of the ensemble what it thinks of the plan.

    Args:
        pursuit: what the robot does.
        forecast: the model's outlook.
        obs: the observation.
        device: where planning runs.
        begin: when this began, seconds of the clock `perf_counter`.
        wait: seconds that the observation has waited for other decisions.

    Raises:
        PlannerError: no candidate plan had a finite return.
    """
    here = as_tensor(obs[None], device)
    goal = pursuit.advance(here)
    if pursuit.failed:
        return Decision(None, pursuit.now, why=pursuit.why, wait=wait, seconds=perf_counter() - begin)
    try:
        with torch.enable_grad():  # some planners follow gradients
            action = pursuit.agent.act(here, np.zeros((1, 0)), goal)
    except BaseException:
        pursuit.agent.reset()
        raise
    chosen, violation = pursuit.agent.plan, pursuit.agent.violation
    assert chosen is not None
    plan = chosen.actions[0]
    if not torch.equal(action[0], plan[0]):  # it rests for one control step: the plan begins with the next
        plan = torch.cat([action, plan[:-1]])
    if not bool(plan.isfinite().all()):
        pursuit.agent.reset()  # or every later search would begin with it
    outlook = forecast(here, chosen, None, None)
    proposal = Proposal(
        plan.cpu().numpy(), outlook.disagreement, None if violation is None else float(violation[0])
    )
    return Decision(proposal, pursuit.now, pursuit.done, wait=wait, seconds=perf_counter() - begin)
