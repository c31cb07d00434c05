"""Episodes of one task or recipe in lock step, from given starts until each has ended."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from mbtransfer.agent import MPCAgent
from mbtransfer.evaluation.pilot import Pilot
from mbtransfer.evaluation.scripts import Script
from mbtransfer.evaluation.starts import as_tensor
from mbtransfer.rows import EpisodeResult


@dataclass(frozen=True, eq=False)
class Played:
    """One finished episode: its row, and what is needed to film it.

    Attributes:
        result: the row.
        states: simulator states, the start first.
        after: what the robot was after before each control step, T names.
        why: why it failed, as far as that is known.
    """

    result: EpisodeResult
    states: Float[ndarray, "T+1 S"]
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
    """

    step: int
    obs: Float[Tensor, "B O"]
    after: tuple[str, ...]
    reward: Float[ndarray, " B"]
    plan_ms: float
    agent: MPCAgent


Watch = Callable[[Moment], None]


class _Record:
    """What is noted of an episode while it runs."""

    def __init__(self, state: ndarray) -> None:
        self.states, self.after = [state], list[str]()
        self.return_, self.seconds = 0.0, 0.0

    def played(
        self, pilot: Pilot, script: Script, row: int, seed: int, episode: int, success: bool
    ) -> Played:
        steps, (done, total) = len(self.after), script.steps(row)
        result = EpisodeResult(
            task=script.name, kind=script.kind, split=script.split, planner=pilot.planner,
            dynamics=pilot.dynamics_name, reward=pilot.reward_name, labels=pilot.labels, seed=seed,
            episode=episode, success=success, return_=self.return_, steps=steps,
            steps_to_success=steps if success else None, steps_done=done, steps_total=total,
            plan_ms=1e3 * self.seconds / max(1, steps),
        )  # fmt: skip
        why = "" if success else script.why(row) or f"not done after {steps} control steps"
        return Played(result, np.stack(self.states), tuple(self.after), why)


def play(
    pilot: Pilot, script: Script, states: Float[ndarray, "B S"], *, seed: int, agent_seed: int,
    watch: Watch | None = None,
) -> list[Played]:  # fmt: skip
    """Run B episodes; those that end leave the batch, so that no time is spent on them.

    An episode whose simulation diverges has failed.

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
    agent, records = pilot.agent(agent_seed), [_Record(state) for state in states]
    finished: dict[int, Played] = {}
    live, state = np.arange(len(states)), states
    obs = as_tensor(pilot.scene.observe(state), pilot.device)
    script.begin(obs)
    for step in range(1, script.limit + 1):
        after = [script.now(row) for row in range(len(live))]
        begin = perf_counter()
        action = agent.act(obs, state, script.goal())
        command = action.cpu().numpy()[:, None]  # waits for the device, so it is a part of the decision
        seconds = (perf_counter() - begin) / len(live)
        state = pilot.scene.rollout(state, command)[:, 0]
        next_obs = as_tensor(pilot.scene.observe(state), pilot.device)
        sound = np.isfinite(state).all(axis=1)
        reward = np.where(sound, script.reward(obs, action, next_obs).cpu().numpy(), 0.0)
        for row, number in enumerate(live.tolist()):
            _note(records[number], state[row], after[row], float(reward[row]), seconds)
        verdict = script.advance(next_obs)
        if watch is not None:
            watch(Moment(step, next_obs, tuple(after), reward, 1e3 * seconds, agent))
        over = verdict.ended | ~sound | (step == script.limit)
        for row in np.flatnonzero(over):
            success = bool(verdict.success[row] and sound[row])
            number = int(live[row])
            finished[number] = records[number].played(pilot, script, int(row), seed, number, success)
        if over.all():
            break
        on = torch.from_numpy(~over).to(next_obs.device)
        agent.forget(torch.from_numpy(verdict.changed).to(next_obs.device))
        agent.keep(on)
        script.keep(~over)
        live, state, obs = live[~over], state[~over], next_obs[on]
    return [finished[episode] for episode in range(len(states))]


def _note(record: _Record, state: ndarray, after: str, reward: float, seconds: float) -> None:
    record.states.append(state)
    record.after.append(after)
    record.return_ += reward
    record.seconds += seconds
