from __future__ import annotations

import pytest
import torch

from mbtransfer.speed.fit import measure_fit


def test_training_is_measured_beside_its_products() -> None:
    threads = torch.get_num_threads()
    found = measure_fit(members=2, hidden=16, layers=2, batch=32, seconds=0.1)
    assert found["settings"]["hidden"] == 16 and found["settings"]["threads"] == 1
    rate, limit = found["transitions_per_second"], found["limit_transitions_per_second"]
    assert rate > 0 and found["fraction_of_limit"] == pytest.approx(rate / limit)
    assert torch.get_num_threads() == threads


@pytest.mark.slow
def test_training_reaches_half_of_what_its_products_allow() -> None:
    assert measure_fit()["fraction_of_limit"] > 0.5
