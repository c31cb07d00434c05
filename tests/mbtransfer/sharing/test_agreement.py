"""When two measurements agree: exact, at its level, and able to find a claim of 20 points too much."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mbtransfer.sharing.agreement import LEVEL, holm, lowest_inside, return_p, success_p


@given(st.integers(1, 30), st.integers(1, 30), st.data())
def test_one_task_is_fishers_exact_test(old: int, new: int, data: st.DataObject) -> None:
    had, has = data.draw(st.integers(0, old)), data.draw(st.integers(0, new))
    table = [[had, old - had], [has, new - has]]
    assert success_p([(had, old)], [(has, new)]) == pytest.approx(stats.fisher_exact(table).pvalue, abs=1e-9)


def test_many_tasks_tell_what_no_single_one_does() -> None:
    claimed, again = [(10, 10)] * 12, [(8, 10)] * 12
    assert success_p(claimed[:1], again[:1]) > 0.4
    assert success_p(claimed, again) < 1e-4


def test_tasks_that_differ_from_each_other_are_no_difference_between_runs() -> None:
    hard_and_easy = [(0, 20), (20, 20), (10, 20)]
    assert success_p(hard_and_easy, hard_and_easy) == pytest.approx(1.0)
    # Pooled, more episodes of the easy task would look like a better robot; within tasks nothing changed.
    assert success_p([(0, 20), (20, 20)], [(0, 5), (80, 80)]) == 1.0


def test_a_true_card_passes_and_one_that_claims_20_points_more_fails() -> None:
    rng = np.random.default_rng(0)
    rates = rng.uniform(0.3, 0.8, size=14)
    true, false = (_share_outside(rates, rates + more, rng) for more in (0.0, 0.2))
    assert true <= 3 * LEVEL and false >= 0.98


def _share_outside(rates: np.ndarray, claimed: np.ndarray, rng: np.random.Generator) -> float:
    """Share of 100 cards of 14 tasks and their mean, 20 episodes each, of which a figure is outside."""
    outside = 0
    for _ in range(100):
        old = [(int(rng.binomial(20, rate)), 20) for rate in claimed]
        new = [(int(rng.binomial(20, rate)), 20) for rate in rates]
        p = [success_p([a], [b]) for a, b in zip(old, new, strict=True)]
        outside += any(holm([*p, success_p(old, new)]))
    return outside / 100


def test_holm_goes_on_until_one_is_not_small_enough() -> None:
    assert holm([0.004, 0.9, 0.003, 0.0051], level=0.01) == [False, False, False, False]
    assert holm([0.002, 0.9, 0.003, 0.0051], level=0.01) == [True, False, True, False]
    assert holm([]) == []


def test_returns_are_compared_with_both_spreads() -> None:
    again = np.random.default_rng(0).normal(100.0, 10.0, size=20)
    old = np.random.default_rng(1).normal(100.0, 30.0, size=10)
    expected = stats.ttest_ind(old, again, equal_var=False).pvalue
    assert return_p(old.mean(), old.std(ddof=1), 10, again.tolist()) == pytest.approx(expected)
    assert return_p(150.0, 10.0, 20, again.tolist()) < 1e-6
    assert return_p(5.0, 0.0, 10, [5.0, 5.0]) == 1.0 and return_p(5.0, 0.0, 10, [6.0, 6.0]) == 0.0
    assert return_p(5.0, 0.0, 1, [5.0, 6.0]) is None


@pytest.mark.parametrize("claimed", [(10, 10), (37, 40), (200, 200)])
def test_the_lowest_rate_inside_is_the_edge(claimed: tuple[int, int]) -> None:
    episodes = claimed[1]
    edge = round(lowest_inside(claimed, episodes) * episodes)
    assert success_p([claimed], [(edge, episodes)]) > LEVEL >= success_p([claimed], [(edge - 1, episodes)])
