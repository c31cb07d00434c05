"""Weights of candidates: how many count, whatever the unit of the reward."""

from __future__ import annotations

import pytest
import torch

from planners.mppi import exponential, exponential_of_size
from planners.search import best_of, worst


def size(weights: torch.Tensor) -> torch.Tensor:
    return 1 / weights.square().sum(dim=1)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.95])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_as_many_count_as_asked_for(generator: torch.Generator, share: float, scale: float) -> None:
    returns = torch.randn(5, 64, generator=generator)
    returns[1, 0] = -100.0  # an outlier
    returns[2] = returns[2].exp()
    weights = exponential_of_size(scale * returns, share)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(5))
    torch.testing.assert_close(size(weights), torch.full((5,), 64 * share), rtol=0.01, atol=0)
    assert torch.equal(weights.argmax(dim=1), returns.argmax(dim=1))


def test_a_fixed_temperature_is_a_soft_maximum() -> None:
    weights = exponential(torch.tensor([[0.0, -0.5, 2.0, 1.5]]), 0.5)
    assert weights[0, 3] / weights[0, 2] == pytest.approx(1 / torch.e)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(1))


def test_what_cannot_be_had_becomes_the_nearest() -> None:
    bad = worst(torch.zeros(()))
    returns = torch.tensor([[1.0, 0.0, bad, bad], [1.0, 1.0, 1.0, 0.0], [2.0, 2.0, 2.0, 2.0], [bad] * 4])
    wide, narrow = exponential_of_size(returns, 0.9), exponential_of_size(returns, 0.1)
    torch.testing.assert_close(wide[0], torch.tensor([0.5, 0.5, 0, 0]), rtol=0, atol=1e-3)
    torch.testing.assert_close(narrow[0], torch.tensor([1.0, 0, 0, 0]), rtol=0, atol=1e-3)
    torch.testing.assert_close(narrow[1], torch.tensor([1.0, 1, 1, 0]) / 3, rtol=0, atol=1e-3)
    torch.testing.assert_close(wide[2:], torch.full((2, 4), 0.25))  # all alike; none finite


def test_where_too_few_are_finite_the_best_stands_in() -> None:
    plans = torch.arange(4.0)[None, :, None, None]
    bad = worst(plans)
    best, returns = best_of(plans, torch.tensor([[bad, 1.0, 3.0, bad]]), 3)
    assert best.flatten().tolist() == [2, 1, 2] and returns.tolist() == [[3, 1, 3]]
