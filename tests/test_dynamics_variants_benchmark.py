"""The parts of `benchmarks.dynamics_variants` that decide what its numbers mean."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("benchmarks.dynamics_variants", reason="a wheel comes without benchmarks")

from benchmarks.dynamics_variants.__main__ import parse_ranges
from benchmarks.dynamics_variants.measure import drawn_variants, factor_variants, worst_tenth
from benchmarks.dynamics_variants.table import as_markdown
from tasks.errors import TaskError
from tasks.hidden_parameters import Ranges

RANGES = Ranges(mass=(0.5, 2.0), gear=(0.4, 2.5), delay=(0, 1))


def test_chosen_variants_change_one_parameter_each() -> None:
    found = factor_variants(RANGES, (0.5, 2.0))
    assert list(found) == ["as it is", "mass 0.5", "mass 2", "gear 0.5", "gear 2", "delay 1"]
    assert not found["as it is"].any()
    np.testing.assert_allclose(found["gear 2"], [0, math.log(2), 0])
    np.testing.assert_allclose(found["delay 1"], [0, 0, 1])


def test_drawn_variants_lie_in_the_ranges_or_all_beyond_them() -> None:
    low, high = (np.array([getattr(one, end) for one in RANGES.parameters]) for end in ("low", "high"))

    def inside(drawn: np.ndarray) -> np.ndarray:
        return ((low <= drawn) & (drawn <= high)).all(axis=1)

    assert inside(drawn_variants(RANGES, np.random.default_rng(0), 50, 1.0)).all()
    wide = drawn_variants(RANGES, np.random.default_rng(0), 200, 1.5)
    assert not inside(wide).any()
    assert (np.abs(wide[:, :2]) <= 1.5 * high[:2] + 1e-9).all() and wide[:, 2].max() <= 1


def test_the_worst_tenth_is_at_least_one() -> None:
    assert worst_tenth(np.arange(20.0)) == 0.5
    assert worst_tenth(np.array([3.0, 2.0])) == 2.0


def test_ranges_are_given_for_all_or_by_part() -> None:
    assert parse_ranges(["mass:cart", "mass:pole_1", "gear"], 0.5, 2.0, 1) == Ranges(
        mass={"cart": (0.5, 2.0), "pole_1": (0.5, 2.0)}, gear=(0.5, 2.0), delay=(0, 1)
    )
    for wrong, text in (
        (["weight"], "no parameter 'weight'"),
        (["mass", "mass:cart"], "given twice"),
        (["mass:"], "'mass:'"),
    ):
        with pytest.raises(TaskError, match=text):
            parse_ranges(wrong, 0.5, 2.0, 0)


def test_tables_have_means_over_seeds() -> None:
    def run(told: float) -> dict[str, object]:
        worth = {"variants": {"as it is": told}, "drawn": [told, 0.5]}
        return {
            "worth": {"told": worth, "blind": worth},
            "identified": {"mass": {"0.25": 0.5, "0.5": 0.6, "1": told}},
        }

    lines = as_markdown([run(0.2), run(0.4)]).splitlines()
    assert lines[0] == "| variant | told | blind |"
    assert lines[2] == "| as it is | 0.300 | 0.300 |"
    assert lines[6] == "| mass | 0.500 | 0.600 | 0.300 |"
    assert lines[-2:] == ["| mean | 0.400 | 0.400 |", "| worst tenth | 0.300 | 0.300 |"]
