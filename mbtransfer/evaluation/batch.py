"""The episodes that still run, in lock step: decide, act, judge."""

import math
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from mbtransfer.agent import MPCAgent
from mbtransfer.evaluation.pilot import Pilot
from mbtransfer.evaluation.scripts import Script, Verdict
from mbtransfer.evaluation.second_try import BACK, SecondTry
from mbtransfer.evaluation.starts import as_tensor


@dataclass(frozen=True, eq=False)
class Moment:
    """What is going on right now, for those who watch.

    Attributes:
        step: control steps taken.
        obs: where the episodes that still run are.
        after: what each of them is after.
        reward: what the last step brought each of them.
        plan_ms: time of the last decision per episode, milliseconds.
        agent: who acts; its `plan` is the last decision.
        script: what is asked for, as it stands now.
    """

    step: int
    obs: Float[Tensor, "B O"]
    after: tuple[str, ...]
    reward: Float[ndarray, " B"]
    plan_ms: float
    agent: MPCAgent
    script: Script


class Batch:
    """The episodes that still run.

    Args:
        pilot: who acts, and where.
        script: what is asked for.
        states: where the episodes start.
        agent_seed: of the planner's randomness.

    Attributes:
        live: the numbers of the episodes that still run.
        state: where they are.
    """

    def __init__(self, pilot: Pilot, script: Script, states: Float[ndarray, "B S"], agent_seed: int) -> None:
        self.live, self.state = np.arange(len(states)), states
        self._pilot, self._script, self._agent = pilot, script, pilot.agent(agent_seed)
        self._obs, self._shown = self._looked()
        script.begin(self._shown)
        self._again = SecondTry(pilot.environment.spec, self._shown, _patience(pilot, script))

    def _looked(self) -> tuple[Tensor, Tensor]:
        """What the robot sees, and what the script judges by."""
        scene, device = self._pilot.scene, self._pilot.device
        obs = as_tensor(scene.observe(self.state), device)
        if not self._script.needs_state:
            return obs, obs
        return obs, scene.shown(self.state, with_state=True).to(device)

    def step(self, number: int) -> tuple[Moment, Verdict]:
        """Decide, act, and judge what came of it."""
        pilot, script, obs, before = self._pilot, self._script, self._obs, self._shown
        after, goal, begin = self._after(), script.goal(), perf_counter()
        action = self._agent.act(obs, self.state, self._again.goal(goal))
        command = action.cpu().numpy()[:, None]  # waits for the device, so it is a part of the decision
        plan_ms = 1e3 * (perf_counter() - begin) / len(self.live)
        self.state = pilot.scene.rollout(self.state, command)[:, 0]
        self._obs, self._shown = self._looked()
        reward = script.reward(before, action, self._shown).nan_to_num().cpu().numpy()
        verdict = script.advance(self._shown)
        worth = goal(self._shown, torch.zeros_like(action), self._shown)
        anew = self._again.advance(worth, self._shown, torch.from_numpy(verdict.changed).to(obs.device))
        verdict = replace(verdict, changed=verdict.changed | anew.cpu().numpy())
        return Moment(number, self._obs, after, reward, plan_ms, self._agent, script), verdict

    def _after(self) -> tuple[str, ...]:
        """What each episode is after, in words."""
        back = self._again.back.tolist()
        return tuple(BACK if gone else self._script.now(row) for row, gone in enumerate(back))

    def go_on(self, rows: Bool[ndarray, " B"], changed: Bool[ndarray, " B"]) -> None:
        """Keep some of the episodes; those that are after something else now need new plans."""
        kept = torch.from_numpy(rows).to(self._obs.device)
        self._agent.forget(torch.from_numpy(changed).to(self._obs.device))
        self._agent.keep(kept)
        self._script.keep(rows)
        self._again.keep(kept)
        self.live, self.state = self.live[rows], self.state[rows]
        self._obs, self._shown = self._obs[kept], self._shown[kept]


def _patience(pilot: Pilot, script: Script) -> int | float:
    """Control steps without a gain before a second try: never where no robot can go back, or nothing is to be done."""
    spec = pilot.environment.spec
    if pilot.retry_after is None or script.endless or not (spec.hand or spec.arm):
        return math.inf
    return pilot.retry_after
