"""Losses are shared out among reward head, model and search; planted faults are named."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from mbtransfer.diagnostics import diagnose
from mbtransfer.diagnostics.diagnose import CAUSES, Cell, Diagnosis, _advice, losses
from mbtransfer.evaluation.config import EvalConfig

CELLS: list[Cell] = [(a, b, c) for a, b, c in product((False, True), repeat=3)]
WORDS = {"reward head": "--reward true", "model": "collect", "search": "search more"}


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("best", [0.8, 1.0])
def test_a_single_cause_takes_the_whole_loss(cause: str, best: float) -> None:
    at = CAUSES.index(cause)
    success = {cell: best if cell[at] else 0.1 for cell in CELLS}
    found = losses(success)
    assert found[cause] == pytest.approx(best - 0.1)
    assert all(found[other] == pytest.approx(0.0) for other in CAUSES if other != cause)
    (advice,) = _advice(success, found, 15)
    assert WORDS[cause] in advice
    assert Diagnosis("tap_open", 10, success, found, [], []).cause == cause


def test_shares_add_up_to_the_loss_and_two_causes_are_told_in_order() -> None:
    success = {cell: 0.1 + 0.5 * cell[0] + 0.3 * cell[2] for cell in CELLS}
    found = losses(success)
    assert sum(share or 0.0 for share in found.values()) == pytest.approx(0.8)
    head, search = _advice(success, found, 15)
    assert WORDS["reward head"] in head and WORDS["search"] in search


def test_causes_that_only_help_together_share_the_loss() -> None:
    success = {cell: float(cell[0] and cell[1]) for cell in CELLS}
    assert losses(success) == pytest.approx({"reward head": 0.5, "model": 0.5, "search": 0.0})


def test_without_a_simulator_the_model_is_not_judged() -> None:
    success = {cell: 0.2 + 0.6 * cell[0] for cell in CELLS if not cell[1]}
    assert losses(success) == {"reward head": pytest.approx(0.6), "model": None, "search": pytest.approx(0.0)}


def test_a_reward_of_the_simulator_s_state_is_put_right_with_the_dynamics_only() -> None:
    success = {cell: 0.2 + 0.6 * cell[1] for cell in CELLS if cell[0] <= cell[1]}
    assert losses(success)["model"] == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("rate", "words"),
    [(lambda cell: 0.2, "even with everything put right"), (lambda cell: 0.95, "nothing to put right")],
)
def test_what_cannot_be_put_right_is_said(rate: object, words: str) -> None:
    success = {cell: rate(cell) for cell in CELLS}  # type: ignore[operator]
    (advice,) = _advice(success, losses(success), 15)
    assert words in advice


@pytest.mark.parametrize(("usual", "larger"), [(2, 15), (None, 15), (30, 30)])
def test_the_larger_search_looks_ahead_no_less_than_the_default(
    usual: int | None, larger: int, fitted_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = dict[bool, int | None]()

    def rate(small: EvalConfig, large: EvalConfig, *rest: object) -> float:
        ahead.update({False: small.horizon, True: large.horizon})
        return 1.0

    monkeypatch.setattr(diagnose, "_rate", rate)
    monkeypatch.setattr(diagnose, "_partings", lambda *_: [])
    found = diagnose.diagnose(EvalConfig(model=str(fitted_folder), horizon=usual), "tap_open")
    assert ahead == {False: usual, True: larger} and found.cause is None
