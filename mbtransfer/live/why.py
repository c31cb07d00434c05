"""Why a live episode failed: a word, from what the model had promised. `diagnose` measures it by many episodes."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

HOPE = 0.5
"""A plan promises success from this probability on."""

OFTEN = 0.1
"""Share of the steps from which on something counts as more than a slip."""

HINTS = {
    "reward head": "it took for done what was not: plan with --reward true, or label more transitions near the goal",
    "model": "plans promised success that did not come: the world moves otherwise than the model thinks",
    "search": "no plan was found that ends well even in imagination: look farther ahead, or try more candidates",
}


@dataclass(frozen=True)
class Reason:
    """What an episode most likely failed by.

    Attributes:
        cause: `reward head`, `model` or `search`, as in `mbtransfer diagnose`.
        evidence: what speaks for it, in words.
    """

    cause: str
    evidence: str

    def __str__(self) -> str:
        """A sentence."""
        return f"most likely the {self.cause} ({self.evidence}): {HINTS[self.cause]}"


@dataclass(frozen=True)
class Note:
    """What was thought of a control step, and what is true after it.

    Attributes:
        believed: probability, before the step, that what is pursued is fulfilled already.
        promised: probability that the plan fulfils it within its horizon.
        fulfilled: whether it truly is fulfilled after the step.
    """

    believed: float
    promised: float
    fulfilled: bool


def why_failed(notes: Sequence[Note]) -> Reason:
    """The most likely cause of a failed episode with at least one step.

    A head that believes in a success that is not there is found first, as it spoils the promises, too. Then a model
    whose plans promise what does not come; where no plan promises anything, the search has found none.
    """
    total = len(notes)
    # What was believed before a step is about the state that the step before it led to.
    fooled = sum(later.believed >= HOPE and not note.fulfilled for note, later in pairwise(notes))
    if fooled >= max(1, OFTEN * total):
        return Reason("reward head", f"in {fooled} of {total} steps")
    promised = sum(note.promised >= HOPE for note in notes)
    if promised >= max(1, OFTEN * total):
        return Reason("model", f"{promised} of {total} plans")
    best = max(note.promised for note in notes)
    return Reason("search", f"at best {best:.0%} likely")
