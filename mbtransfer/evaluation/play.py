"""Episodes of one task or recipe in lock step, from given starts until each has ended."""

import math
from collections.abc import Callable
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
from mbtransfer.rows import EpisodeResult


@dataclass(frozen=True, eq=False)
class Played:
    """One finished episode: its row, and what is needed to film it.

    Attributes:
        result: the row.
        states: simulator states, the start first; M is one more than the control steps.
        after: what the robot was after before each control step.
        why: why it failed, as far as that is known.
    """

    result: EpisodeResult
    states: Float[ndarray, "M S"]
    after: tuple[str, ...]
    why: str = ""


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


Watch = Callable[[Moment], None]


class _Record:
    """What is noted of an episode while it runs."""

    def __init__(self, state: ndarray) -> None:
        self.states, self.after = [state], list[str]()
        self.return_, self.seconds, self.cut, self.infeasible = 0.0, 0.0, 0, 0

    def note(self, state: Float[ndarray, " S"], moment: Moment, row: int) -> None:
        self.states.append(state)
        self.after.append(moment.after[row])
        self.return_ += float(moment.reward[row])
        self.seconds += moment.plan_ms / 1e3
        plan, violation = moment.agent.plan, moment.agent.violation
        self.cut += plan is not None and plan.cut
        self.infeasible += violation is not None and bool(violation[row] > 0)

    def played(
        self, pilot: Pilot, script: Script, row: int, seed: int, episode: int, *, success: bool, sound: bool
    ) -> Played:
        steps, (done, total) = len(self.after), script.steps(row)
        result = EpisodeResult(
            task=script.name, kind=script.kind, split=script.split, planner=pilot.planner,
            dynamics=pilot.dynamics_name, reward=pilot.reward_name, labels=pilot.labels, seed=seed,
            episode=episode, success=success, return_=self.return_, steps=steps,
            steps_to_success=steps if success else None, steps_done=done, steps_total=total,
            plan_ms=1e3 * self.seconds / max(1, steps), cut=self.cut / max(1, steps),
            infeasible=self.infeasible / max(1, steps), diverged=int(not sound and not pilot.scene.live),
        )  # fmt: skip
        why = "the simulation diverged" if result.diverged else ""
        why = why if success or why else script.why(row) or f"not done after {steps} control steps"
        return Played(result, np.stack(self.states), tuple(self.after), why)


def play(
    pilot: Pilot, script: Script, states: Float[ndarray, "B S"], *, seed: int, agent_seed: int,
    watch: Watch | None = None,
) -> list[Played]:  # fmt: skip
    """Run B episodes; those that end leave the batch, so that no time is spent on them.

    An episode whose simulation diverges has failed. A step that leads to no state, because the simulation diverged or
    the environment had ended the episode, does not count.

    Args:
        pilot: who acts, and where.
        script: what is asked for.
        states: where the episodes start.
        seed: the run's seed, noted in the rows.
        agent_seed: of the planner's randomness.
        watch: called after every control step.

    Raises:
        PlannerError: no candidate plan had a finite return.
    """
    records, batch = [_Record(state) for state in states], _Batch(pilot, script, states, agent_seed)
    finished: dict[int, Played] = {}
    for step in range(1, script.limit + 1):
        numbers = batch.live.tolist()
        moment, verdict = batch.step(step)
        sound = np.isfinite(batch.state).all(axis=1)
        for row in np.flatnonzero(sound).tolist():
            records[numbers[row]].note(batch.state[row], moment, row)
        if watch is not None:
            watch(moment)
        over = verdict.ended | ~sound | (step == script.limit)
        for row in np.flatnonzero(over).tolist():
            success = bool(verdict.success[row] and sound[row])
            record = records[numbers[row]]
            finished[numbers[row]] = record.played(
                pilot, script, row, seed, numbers[row], success=success, sound=bool(sound[row])
            )
        if over.all():
            break
        batch.go_on(~over, verdict.changed)
    return [finished[number] for number in range(len(states))]


class _Batch:
    """The episodes that still run."""

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
