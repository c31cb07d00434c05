"""Progress of one episode through a recipe, as a pure state machine."""

import math
from collections.abc import Mapping, Sized
from enum import Enum
from typing import Protocol, runtime_checkable

from tasks.recipe.recipe import Recipe, guard_ends, stages_of


@runtime_checkable
class PerStep(Protocol):
    """Something with one entry per step index: a list, a mapping, a one-dimensional array or tensor."""

    def __getitem__(self, index: int, /) -> object:
        """The entry of the step at `index`."""
        ...


class StepState(Enum):
    """What has become of a step."""

    OPEN = "open"
    FINISHED = "finished"
    SKIPPED = "skipped"
    TIMED_OUT = "timed out"
    UNDONE = "undone"


class RecipeProgress:
    """Follows a recipe through one episode, one `update` per control step.

    Steps are worked on stage by stage: an any_order group is one stage, every other step is a stage of its
    own. One step of the stage is active; every open step of the stage finishes once it was successful for its
    `hold` consecutive control steps, active or not. A finished step is guarded until a stage begins that
    moves one of its fixtures. The recipe is finished once no step is open and every guarded one successful.
    A required step out of tries fails it, but the other steps of its group are still tried.

    Args:
        recipe: What to follow. Step indices are places in `recipe.steps`.
        scores: Picks the first active step, see `choose`.
    """

    def __init__(self, recipe: Recipe, scores: PerStep | None = None) -> None:
        self.recipe = recipe
        self._steps = recipe.steps
        count = len(self._steps)
        self._states = [StepState.OPEN] * count
        self._held = [0] * count  # consecutive successes of an open step
        self._lost = [0] * count  # consecutive control steps a guarded step was not successful
        self._clock = [0] * count  # control steps of the present try
        self._tries = [0] * count  # tries that timed out
        self._stages = stages_of(recipe)
        self._guard_ends = guard_ends(recipe, self._stages)
        self._stage = 0
        self._queue = list(self._stages[0])  # open steps of the stage, the active one first
        self._settling = 0
        self._finished = False
        if scores is not None:
            self.choose(scores)

    @property
    def active(self) -> tuple[int, ...]:
        """The step to be worked on now; none once the recipe has ended.

        When no step is open but guarded ones wobble, those are active until they are successful again.
        """
        if self.ended:
            return ()
        return tuple(self._queue[:1]) or tuple(i for i in self.guarded if self._lost[i])

    @property
    def candidates(self) -> tuple[int, ...]:
        """What `choose` may pick from: several only in an any_order group, before work on one begins."""
        if self.ended or not self._queue or self._clock[self._queue[0]]:
            return self.active
        fewest = min(self._tries[i] for i in self._queue)
        return tuple(i for i in sorted(self._queue) if self._tries[i] == fewest)

    @property
    def guarded(self) -> tuple[int, ...]:
        """Finished steps that must stay successful; none once the recipe has ended."""
        return () if self.ended else self._guarded()

    @property
    def finished(self) -> bool:
        """All required steps were finished, and none undone."""
        return self._finished

    @property
    def failed(self) -> bool:
        """A required step timed out or a guarded one was undone."""
        return self.failure is not None

    @property
    def ended(self) -> bool:
        """Finished, or failed with no step left to try; further updates change nothing."""
        return self.finished or StepState.UNDONE in self._states or (self.failed and not self._queue)

    @property
    def failure(self) -> str | None:
        """Why the recipe failed, such as 'step 2 light_on timed out' (steps count from 1), or None."""
        for index, state in enumerate(self._states):
            if state in (StepState.TIMED_OUT, StepState.UNDONE):
                verb = "was undone" if state is StepState.UNDONE else "timed out"
                return f"step {index + 1} {self._steps[index].label} {verb}"
        return None

    @property
    def states(self) -> tuple[StepState, ...]:
        """What has become of each step."""
        return tuple(self._states)

    @property
    def attempts(self) -> tuple[int, ...]:
        """Tries of each step that timed out; a rise tells a planner to forget its warm start."""
        return tuple(self._tries)

    @property
    def steps_done(self) -> int:
        """Required steps that are finished and were not undone."""
        done = zip(self._states, self._steps, strict=True)
        return sum(state is StepState.FINISHED and not step.optional for state, step in done)

    @property
    def steps_total(self) -> int:
        """Required steps."""
        return sum(not step.optional for step in self._steps)

    def choose(self, scores: PerStep) -> None:
        """Makes the best-scored candidate the active step (the first of equals; NaN is worst).

        Args:
            scores: A number per step index, higher is better; only those of `candidates` are read.
        """
        candidates = self.candidates
        if self._queue and len(candidates) > 1:  # wobbling steps are candidates too, but not in the queue
            best = max(candidates, key=lambda i: _score(scores[i]))
            self._queue.remove(best)
            self._queue.insert(0, best)

    def update(self, success: PerStep, scores: PerStep | None = None) -> None:
        """Takes in one control step.

        Args:
            success: Per step index, whether the step's task is successful now; only open steps of the stage
                and guarded steps are read.
            scores: If given, `choose(scores)` follows.

        Raises:
            ValueError: If `success` has a length that is not the number of steps (mappings may have fewer).
        """
        _check_length(success, len(self._steps))
        if self.ended:
            return
        self._watch_guarded(success)
        if not self.ended:
            self._finish_held(success)
            self._run_clock()
            self._move_on()
            self._settle(success)
        if scores is not None:
            self.choose(scores)

    def _guarded(self) -> tuple[int, ...]:
        return tuple(
            i
            for i, step in enumerate(self._steps)
            if step.guard and self._states[i] is StepState.FINISHED and self._stage < self._guard_ends[i]
        )

    def _watch_guarded(self, success: PerStep) -> None:
        for i in self._guarded():
            self._lost[i] = 0 if success[i] else self._lost[i] + 1
            if self._lost[i] > self.recipe.grace:
                self._states[i] = StepState.UNDONE
                return

    def _finish_held(self, success: PerStep) -> None:
        for i in tuple(self._queue):
            self._held[i] = self._held[i] + 1 if success[i] else 0
            if self._held[i] >= self._steps[i].hold:
                self._states[i] = StepState.FINISHED

    def _run_clock(self) -> None:
        if not self._queue or self._states[self._queue[0]] is not StepState.OPEN:
            return
        active = self._queue[0]
        self._clock[active] += 1
        if self._clock[active] < self._steps[active].timeout:
            return
        self._clock[active] = 0
        self._tries[active] += 1
        if self._tries[active] > self._steps[active].retries:
            optional = self._steps[active].optional
            self._states[active] = StepState.SKIPPED if optional else StepState.TIMED_OUT
        self._queue.append(self._queue.pop(0))  # the others of the group come first

    def _move_on(self) -> None:
        self._queue = [i for i in self._queue if self._states[i] is StepState.OPEN]
        while not self._queue and self._stage < len(self._stages) and not self.failed:
            self._stage += 1
            self._queue = list(self._stages[self._stage]) if self._stage < len(self._stages) else []

    def _settle(self, success: PerStep) -> None:
        if self.failed or self._queue:
            return
        wobbling = [i for i in self._guarded() if not success[i]]
        self._finished = not wobbling
        self._settling += 1
        if wobbling and self._settling > self.recipe.grace:
            self._states[wobbling[0]] = StepState.UNDONE


def _score(value: object) -> float:
    number = float(value)  # type: ignore[arg-type]
    return -math.inf if math.isnan(number) else number


def _check_length(success: PerStep, count: int) -> None:
    if isinstance(success, Sized) and not isinstance(success, Mapping) and len(success) != count:
        raise ValueError(f"success has {len(success)} entries, the recipe {count} steps; give one per step")
