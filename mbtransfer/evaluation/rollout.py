"""Batched rollouts of one task or recipe, in lockstep until every episode has ended."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from mbtransfer.evaluation.monitors import MonitorResult, TaskMonitor
from mbtransfer.evaluation.recovery import BACK, StallRecovery
from mbtransfer.evaluation.results import EpisodeResult
from mbtransfer.mpc.agent import MPCAgent
from mbtransfer.mpc.controller import Controller


@dataclass(frozen=True, eq=False)
class StepInfo:
    """The state of the running episodes after a control step, for callbacks.

    Attributes:
        step: number of control steps taken.
        obs: observations of the episodes that are still running.
        after: the goal of each of them, in words.
        reward: the reward of each of them for the last step.
        plan_ms: time of the last decision per episode, milliseconds.
        agent: the acting agent; its `plan` is the last decision.
        monitor: the task monitor in its current state.
        action: what was asked of the actuators in the last step.
    """

    step: int
    obs: Float[Tensor, "B O"]
    after: tuple[str, ...]
    reward: Float[ndarray, " B"]
    plan_ms: float
    agent: MPCAgent
    monitor: TaskMonitor
    action: Float[Tensor, "B A"]


class Batch:
    """The episodes that are still running.

    Args:
        controller: makes the agent, and holds the simulator.
        monitor: gives the goals, and judges success.
        states: start states of the episodes.
        agent_seed: seed of the planner's randomness.

    Attributes:
        live: numbers of the episodes that are still running.
        state: their simulator states.
    """

    def __init__(
        self, controller: Controller, monitor: TaskMonitor, states: Float[ndarray, "B S"], agent_seed: int
    ) -> None:
        self.live, self.state = np.arange(len(states)), states
        self._controller, self._script, self._agent = controller, monitor, controller.agent(agent_seed)
        self._obs, self._shown = self._looked()
        monitor.begin(self._shown)
        self._again = StallRecovery(controller.environment.spec, self._shown, _patience(controller, monitor))

    def _looked(self) -> tuple[Tensor, Tensor]:
        """The robot's observations, and the observations that the monitor judges by."""
        scene, device = self._controller.scene, self._controller.device
        obs = as_tensor(scene.observe(self.state), device)
        if not self._script.privileged:
            return obs, obs
        return obs, scene.observe_privileged(self.state, with_state=True).to(device)

    def step(self, number: int) -> tuple[StepInfo, MonitorResult]:
        """Plan, act, and judge the result."""
        controller, monitor, obs, before = self._controller, self._script, self._obs, self._shown
        after, goal, begin = self._after(), monitor.goal(), perf_counter()
        action = self._agent.act(obs, self.state, self._again.goal(goal))
        command = action.cpu().numpy()[:, None]  # waits for the device, so it is part of the decision
        plan_ms = 1e3 * (perf_counter() - begin) / len(self.live)
        self.state = controller.scene.rollout(self.state, command)[:, 0]
        self._obs, self._shown = self._looked()
        reward = monitor.reward(before, action, self._shown).nan_to_num().cpu().numpy()
        verdict = monitor.advance(self._shown)
        seen = self._shown if goal.privileged else self._obs  # learned rewards read what the robot sees
        worth = goal(seen, torch.zeros_like(action), seen)
        restarted = self._again.advance(worth, self._shown, torch.from_numpy(verdict.changed).to(obs.device))
        verdict = replace(verdict, changed=verdict.changed | restarted.cpu().numpy())
        return StepInfo(number, self._obs, after, reward, plan_ms, self._agent, monitor, action), verdict

    @property
    def shown(self) -> Float[Tensor, "B W"]:
        """What the monitor judges by, now."""
        return self._shown

    @property
    def agent(self) -> MPCAgent:
        """Chooses the actions."""
        return self._agent

    def displace(self, states: Float[ndarray, "B S"]) -> None:
        """Put the episodes into other states, as when somebody else moves a thing; plans go on from there."""
        self.state = states
        self._obs, self._shown = self._looked()

    def replace_agent(self, controller: Controller, agent_seed: int) -> None:
        """Let another controller of the same scene go on with the episodes."""
        self._controller, self._agent = controller, controller.agent(agent_seed)

    def _after(self) -> tuple[str, ...]:
        """The goal of each episode, in words."""
        back = self._again.back.tolist()
        return tuple(BACK if gone else self._script.now(row) for row, gone in enumerate(back))

    def go_on(self, rows: Bool[ndarray, " B"], changed: Bool[ndarray, " B"]) -> None:
        """Keep some of the episodes, and drop the plans of those whose goal has changed."""
        kept = torch.from_numpy(rows).to(self._obs.device)
        self._agent.forget(torch.from_numpy(changed).to(self._obs.device))
        self._agent.keep(kept)
        self._script.keep(rows)
        self._again.keep(kept)
        self.live, self.state = self.live[rows], self.state[rows]
        self._obs, self._shown = self._obs[kept], self._shown[kept]


def _patience(controller: Controller, monitor: TaskMonitor) -> int | float:
    """Control steps without progress before a new try; infinite if the robot cannot return or the task has no end."""
    spec = controller.environment.spec
    if controller.retry_after is None or monitor.continuing or not (spec.hand or spec.arm):
        return math.inf
    return controller.retry_after


@dataclass(frozen=True, eq=False)
class EpisodeRecord:
    """One finished episode: its row, and what is needed to film it.

    Attributes:
        result: the row.
        states: simulator states, the start first; M is one more than the number of control steps.
        after: the robot's goal before each control step, in words.
        why: why it failed, if known.
    """

    result: EpisodeResult
    states: Float[ndarray, "M S"]
    after: tuple[str, ...]
    why: str = ""


StepCallback = Callable[[StepInfo], None]


class _Record:
    """What is recorded of an episode while it runs."""

    def __init__(self, state: ndarray) -> None:
        self.states, self.after = [state], list[str]()
        self.return_, self.seconds, self.cut, self.infeasible = 0.0, 0.0, 0, 0

    def note(self, state: Float[ndarray, " S"], moment: StepInfo, row: int) -> None:
        self.states.append(state)
        self.after.append(moment.after[row])
        self.return_ += float(moment.reward[row])
        self.seconds += moment.plan_ms / 1e3
        plan, violation = moment.agent.plan, moment.agent.violation
        self.cut += plan is not None and plan.cut
        self.infeasible += violation is not None and bool(violation[row] > 0)

    def played(
        self,
        controller: Controller,
        monitor: TaskMonitor,
        row: int,
        seed: int,
        episode: int,
        *,
        success: bool,
        sound: bool,
    ) -> EpisodeRecord:
        steps, (done, total) = len(self.after), monitor.steps(row)
        result = EpisodeResult(
            task=monitor.name, kind=monitor.kind, split=monitor.split, planner=controller.planner,
            dynamics=controller.dynamics_name, reward=controller.reward_name, labels=controller.labels, seed=seed,
            episode=episode, success=success, return_=self.return_, steps=steps,
            steps_to_success=steps if success else None, steps_done=done, steps_total=total,
            plan_ms=1e3 * self.seconds / max(1, steps), cut=self.cut / max(1, steps),
            infeasible=self.infeasible / max(1, steps), diverged=int(not sound and not controller.scene.live),
        )  # fmt: skip
        why = "the simulation diverged" if result.diverged else ""
        why = why if success or why else monitor.why(row) or f"not done after {steps} control steps"
        return EpisodeRecord(result, np.stack(self.states), tuple(self.after), why)


def play(
    controller: Controller, monitor: TaskMonitor, states: Float[ndarray, "B S"], *, seed: int, agent_seed: int,
    watch: StepCallback | None = None,
) -> list[EpisodeRecord]:  # fmt: skip
    """Run B episodes; those that end leave the batch, so that no time is spent on them.

    An episode whose simulation diverges has failed. A step without a resulting state, because the simulation
    diverged or the environment had ended the episode, does not count.

    Args:
        controller: makes the agent, and holds the simulator.
        monitor: gives the goals, and judges success.
        states: start states of the episodes.
        seed: seed of the run, recorded in the rows.
        agent_seed: seed of the planner's randomness.
        watch: called after every control step.

    Raises:
        PlannerError: no candidate plan had a finite return.
    """
    records, batch = [_Record(state) for state in states], Batch(controller, monitor, states, agent_seed)
    finished: dict[int, EpisodeRecord] = {}
    for step in range(1, monitor.limit + 1):
        numbers = batch.live.tolist()
        moment, verdict = batch.step(step)
        sound = np.isfinite(batch.state).all(axis=1)
        for row in np.flatnonzero(sound).tolist():
            records[numbers[row]].note(batch.state[row], moment, row)
        if watch is not None:
            watch(moment)
        over = verdict.ended | ~sound | (step == monitor.limit)
        for row in np.flatnonzero(over).tolist():
            success = bool(verdict.success[row] and sound[row])
            record = records[numbers[row]]
            finished[numbers[row]] = record.played(
                controller, monitor, row, seed, numbers[row], success=success, sound=bool(sound[row])
            )
        if over.all():
            break
        batch.go_on(~over, verdict.changed)
    return [finished[number] for number in range(len(states))]


def as_tensor(obs: Float[ndarray, "B O"], device: torch.device | str) -> Float[torch.Tensor, "B O"]:
    """Observations as a float32 tensor for the model, the planner and the tasks."""
    return torch.from_numpy(np.ascontiguousarray(obs, np.float32)).to(device)
