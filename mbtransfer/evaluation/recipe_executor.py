"""What the agent works on in a recipe, by its own belief of what is done."""

from collections.abc import Sequence

from tasks.recipe.progress import RecipeProgress, StepState
from tasks.recipe.recipe import Recipe

BELIEVED = 0.5
"""Probability from which on a step is believed to be done."""

SURE = 0.9
"""Probability from which on the agent leaves a finished step; at the edge of its target a touch would undo it."""

RETREAT, CLEAR = 3, 0.12
"""Control steps for which the hand first withdraws from what it has finished with, and how far (m): a hand that goes
straight on to the next handle drags what it has just moved along."""

PATIENCE = 8
"""Control steps after which the agent leaves a finished step even if its probability is below `SURE`."""


class RecipeExecutor:
    """Chooses the steps to work on in one episode.

    A step that has just finished counts at once, but the agent keeps working on it until it is surely done, and then
    withdraws its hand before it goes on. A guarded step that is lost is repaired first, because it counts as undone
    after a few control steps. After the last step the agent continues with what it was doing until the episode is
    ended.

    Args:
        recipe: the recipe to follow.
        scores: score of each step from here; see `RecipeProgress.choose`.

    Attributes:
        belief: the agent's belief about the progress.
        at: steps that the agent works on now.
        guarded: finished steps that must stay done.
    """

    def __init__(self, recipe: Recipe, scores: Sequence[float]) -> None:
        self.belief = RecipeProgress(recipe, scores)
        self.at = self._intent = self.belief.active
        self.guarded = self.belief.guarded
        self._finished: list[int] = []
        self._settling: dict[int, int] = {}  # finished steps not left yet: control steps that remain
        self._leaving: dict[int, int] = {}  # finished steps that the hand withdraws from: likewise
        self._left: set[int] = set()

    @property
    def place(self) -> tuple[tuple[int, ...], tuple[int, ...], bool]:
        """Changes when the agent switches to another step or retries; repairing a guarded step does not change it."""
        return self._intent, self.belief.attempts, bool(self._leaving)

    @property
    def leaving(self) -> int | None:
        """The finished step from which the hand withdraws before it goes on; None if from none."""
        idle = self._settling or self.at != self._intent or not self._intent
        return None if idle else next(reversed(self._leaving), None)

    @property
    def given_up(self) -> bool:
        """Whether the agent believes that the recipe has failed and that nothing of it is left to do."""
        return self.belief.failed and self.belief.ended and not self._settling

    def update(self, chance: Sequence[float], scores: Sequence[float]) -> None:
        """Process one control step.

        Args:
            chance: per step, the probability that it is done.
            scores: as above.
        """
        self.belief.update([p >= BELIEVED for p in chance], scores)
        if self.belief.finished:
            return
        finished = [i for i, state in enumerate(self.belief.states) if state is StepState.FINISHED]
        settling = self._settling | {i: PATIENCE for i in finished if i not in self._finished}
        self._finished, self.guarded = finished, self.belief.guarded
        self._settling = {
            i: left - 1 for i, left in settling.items() if left and chance[i] < SURE and self._stays(i)
        }
        self._intent = tuple(self._settling) or self.belief.active
        self.at = tuple(i for i in self.guarded if chance[i] < BELIEVED) or self._intent
        fresh = [i for i in self.guarded if i not in self._settling and i not in self._left]
        self._left.update(fresh)
        self._leaving = {i: left - 1 for i, left in self._leaving.items() if left > 1 and i in self.guarded}
        self._leaving |= {i: RETREAT for i in fresh if self.belief.recipe.steps[i].task.fixtures}

    def _stays(self, step: int) -> bool:
        """Whether no step that has begun since moves what a finished step moved."""
        return step in self.guarded or not self.belief.recipe.steps[step].guard
