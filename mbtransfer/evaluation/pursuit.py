"""What the agent works on in one episode of a recipe, by its own belief of what is done."""

from collections.abc import Sequence

from tasks.recipe.model import Recipe
from tasks.recipe.progress import RecipeProgress, StepState

BELIEVED = 0.5
"""A step is believed to be done from this probability on."""

SURE = 0.9
"""A finished step is left from this probability on: one left at the edge of its target is undone by a touch."""

PATIENCE = 8
"""Control steps after which a finished step is left even if it is done by less than `SURE`."""


class Pursuit:
    """One episode: a step just finished counts at once, but is worked on until it is surely done.

    A guarded step that is lost is mended first: it counts as undone after a few control steps.

    After the last step the agent goes on with what it was at, until somebody ends the episode.

    Args:
        recipe: what to do.
        scores: what each step is worth from here; see `RecipeProgress.choose`.

    Attributes:
        belief: where the agent believes that it stands.
        at: steps that are worked on now.
        guarded: finished steps that must stay done.
    """

    def __init__(self, recipe: Recipe, scores: Sequence[float]) -> None:
        self.belief = RecipeProgress(recipe, scores)
        self.at = self._intent = self.belief.active
        self.guarded = self.belief.guarded
        self._finished: list[int] = []
        self._settling: dict[int, int] = {}  # finished steps not left yet: control steps that they may take

    @property
    def place(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Changes when the agent turns to something else, or tries again; to mend what it touched is no turn."""
        return self._intent, self.belief.attempts

    @property
    def given_up(self) -> bool:
        """It believes that the recipe has failed and that nothing of it is left to do."""
        return self.belief.failed and self.belief.ended and not self._settling

    def update(self, chance: Sequence[float], scores: Sequence[float]) -> None:
        """One control step was taken.

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

    def _stays(self, step: int) -> bool:
        """Whether nothing that has begun since moves what a finished step moved."""
        return step in self.guarded or not self.belief.recipe.steps[step].guard
