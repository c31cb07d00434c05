"""Episodes of one task or recipe in lock step, from given starts until each has ended."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.evaluation.batch import Batch, Moment
from mbtransfer.evaluation.pilot import Pilot
from mbtransfer.evaluation.scripts import Script
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
    records, batch = [_Record(state) for state in states], Batch(pilot, script, states, agent_seed)
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
