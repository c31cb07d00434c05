"""Measures of streams, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mbtransfer.errors import UserError
from mbtransfer.transfer.streams.lifelong import (
    area,
    average_performance,
    backward_transfer,
    forgetting,
    forward_transfer,
)

NAN = float("nan")
SUCCESS = np.array([[0.8, NAN, NAN], [0.5, 0.6, NAN], [0.2, 0.9, 1.0]])
"""The first task falls from 0.8 to 0.2, the second rises from 0.6 to 0.9."""


def test_a_stream_by_hand() -> None:
    assert average_performance(SUCCESS) == pytest.approx((0.2 + 0.9 + 1.0) / 3)
    assert forgetting(SUCCESS) == pytest.approx((0.6 - 0.3 + 0.0) / 3)
    assert backward_transfer(SUCCESS) == pytest.approx((-0.6 + 0.3) / 2)


def test_what_never_changes_is_not_forgotten() -> None:
    steady = np.tril(np.ones((4, 1)) * np.array([0.1, 0.5, 0.7, 0.9]))
    assert forgetting(steady) == 0.0 == backward_transfer(steady)
    assert average_performance(steady) == pytest.approx(0.55)


def test_losing_all_but_the_last_task_is_the_worst() -> None:
    assert forgetting(np.eye(4)) == 0.75
    assert backward_transfer(np.eye(4)) == -1.0
    assert average_performance(np.eye(4)) == 0.25


def test_one_task_forgets_nothing_and_has_none_before_it() -> None:
    assert (average_performance(np.array([[0.4]])), forgetting(np.array([[0.4]]))) == (0.4, 0.0)
    with pytest.raises(UserError, match="at least two tasks"):
        backward_transfer(np.array([[0.4]]))


def test_the_area_is_the_mean_over_the_time_of_training() -> None:
    curves = np.array([[0.0, 1.0, 1.0], [0.5, 0.5, 0.5], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(area(curves, np.array([0.0, 2.0, 5.0])), [4 / 5, 0.5, 1.5 / 5])


def test_forward_transfer_is_the_share_of_the_room_that_was_won() -> None:
    times = np.array([0.0, 1.0])
    curves = np.array([[0.5, 1.0], [0.0, 0.5], [1.0, 1.0]])
    alone = np.array([[0.0, 1.0], [0.5, 0.5], [1.0, 1.0]])
    won, lost = (0.75 - 0.5) / 0.5, (0.25 - 0.5) / 0.5
    assert forward_transfer(curves[:1], alone[:1], times) == won == 0.5
    assert forward_transfer(curves[1:2], alone[1:2], times) == lost == -0.5
    assert forward_transfer(curves, alone, times) == 0.0  # the third leaves no room and does not count
    assert forward_transfer(alone, alone, times) == 0.0
    assert math.isnan(forward_transfer(curves[2:], alone[2:], times))


@pytest.mark.parametrize("shape", [(2, 3), (0, 0)])
def test_only_a_square_matrix_is_a_stream(shape: tuple[int, int]) -> None:
    for measure in (average_performance, forgetting, backward_transfer):
        with pytest.raises(UserError, match="square matrix"):
            measure(np.zeros(shape))


@pytest.mark.parametrize("wrong", [1.2, -0.1, NAN])
def test_only_shares_are_successes(wrong: float) -> None:
    success = SUCCESS.copy()
    success[2, 0] = wrong
    with pytest.raises(UserError, match="between 0 and 1"):
        forgetting(success)
    with pytest.raises(UserError, match="between 0 and 1"):
        area(np.array([[0.0, wrong]]), np.array([0.0, 1.0]))


def test_curves_need_rising_times_and_one_shape() -> None:
    curves = np.zeros((2, 3))
    with pytest.raises(UserError, match="must rise"):
        area(curves, np.array([0.0, 2.0, 2.0]))
    with pytest.raises(UserError, match="two points or more"):
        area(np.zeros((2, 1)), np.array([0.0]))
    with pytest.raises(UserError, match="one shape"):
        forward_transfer(curves, curves[:1], np.arange(3.0))
