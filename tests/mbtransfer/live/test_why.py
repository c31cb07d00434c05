"""The word after a failure follows from what was believed, promised and true."""

from __future__ import annotations

import pytest

from mbtransfer.live.why import Note, why_failed


@pytest.mark.parametrize(
    ("notes", "cause", "evidence"),
    [
        ([Note(0.9, 1.0, False)] * 20, "reward head", "in 19 of 20 steps"),
        ([Note(0.1, 0.8, False)] * 20, "model", "20 of 20 plans"),
        ([Note(0.0, 0.1, False)] * 19 + [Note(0.0, 0.3, False)], "search", "at best 30% likely"),
        ([Note(0.9, 1.0, True)] * 5 + [Note(0.0, 0.9, False)] * 15, "model", "20 of 20 plans"),
        ([Note(0.0, 0.0, False)], "search", "at best 0% likely"),
    ],
)
def test_the_cause_is_named_with_its_evidence(notes: list[Note], cause: str, evidence: str) -> None:
    reason = why_failed(notes)
    assert (reason.cause, reason.evidence) == (cause, evidence)
    assert str(reason).startswith(f"most likely the {cause} ({evidence}): ")
