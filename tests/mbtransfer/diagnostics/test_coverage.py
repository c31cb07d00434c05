from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mbtransfer.data.coverage import BINS, ENOUGH, MOVING, Coverage
from tasks.registry import make

SPEC = make("kitchen").spec
DRAWER = SPEC.fixture("drawer")


def path(values: list[float], fixture: str = "drawer") -> Coverage:
    """One episode in which a fixture takes these values, as shares of its range."""
    found = SPEC.fixture(fixture)
    obs = np.zeros((len(values), SPEC.obs_size), np.float32)
    obs[:, found.position] = found.low + found.span * np.array(values)
    return Coverage.of(SPEC, obs[:-1], obs[1:])


def test_movements_are_counted_where_they_happen() -> None:
    counts = path([0.02, 0.04, 0.06, 0.06, 0.36, 0.34]).moves["drawer"]
    assert len(counts) == BINS and sum(counts) == 4
    assert (counts[0], counts[1], counts[4], counts[7]) == (1, 1, 1, 1)


def test_rest_and_trembling_do_not_count() -> None:
    assert sum(path([0.5, 0.5, 0.5 + 0.9 * MOVING, 0.5]).moves["drawer"]) == 0
    assert sum(path([0.5, 0.5 + 1.5 * MOVING]).moves["drawer"]) == 1


def test_only_the_fixture_that_moved_is_counted() -> None:
    found = path([0.1, 0.3, 0.5], "tap")
    assert set(found.moves) == {fixture.name for fixture in SPEC.fixtures}
    assert {name for name, counts in found.moves.items() if sum(counts)} == {"tap"}


def filled(first: int, last: int, count: int = ENOUGH) -> Coverage:
    counts = tuple(count if first <= i <= last else 0 for i in range(BINS))
    return Coverage({f.name: counts for f in SPEC.fixtures})


@pytest.mark.parametrize(
    ("start", "to", "share"),
    [(0.0, 0.49, 1.0), (0.49, 0.0, 1.0), (0.0, 1.0, 0.5), (0.51, 1.0, 0.0), (0.3, 0.3, 1.0), (0.9, 0.9, 0.0)],
)
def test_the_share_of_the_way_that_was_seen(start: float, to: float, share: float) -> None:
    here, there = (DRAWER.low + DRAWER.span * x for x in (start, to))
    assert filled(0, 9).visited(DRAWER, here, there) == pytest.approx(share)


def test_a_few_movements_are_not_enough() -> None:
    assert filled(0, 19, ENOUGH - 1).visited(DRAWER, DRAWER.low, DRAWER.high) == 0.0


def test_places_outside_of_the_range_belong_to_its_ends() -> None:
    coverage = filled(19, 19)
    assert coverage.visited(DRAWER, DRAWER.high + 1, DRAWER.high + 1) == 1.0
    assert coverage.visited(DRAWER, DRAWER.low - 1, DRAWER.low - 1) == 0.0


def test_two_coverages_add_up() -> None:
    both = path([0.02, 0.04]).plus(path([0.02, 0.04, 0.06]))
    assert both.moves["drawer"][:2] == (2, 1) and set(both.moves) == {f.name for f in SPEC.fixtures}
    read = replace(both, moves={name: list(counts) for name, counts in both.moves.items()})
    assert read.plus(read).moves["drawer"][:2] == (4, 2)  # as it comes from JSON


def test_a_joint_measured_in_any_unit() -> None:
    for fixture in SPEC.fixtures:
        counts = path(list(np.linspace(0.01, 0.99, 40)), fixture.name).moves[fixture.name]
        assert sum(counts) == 39 and min(counts) >= 1
