"""Parts worked on side by side give what they give one after the other."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from mbtransfer.speed.workload import KitchenDecisions
from world_models.dynamics.rollout import each_apart


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_results_keep_their_order(two_threads: None) -> None:
    parts = [torch.full((3,), float(k)) for k in range(7)]
    assert torch.equal(torch.stack(each_apart(lambda x: 2 * x, parts)), 2 * torch.stack(parts))


def test_the_caller_keeps_its_threads_and_gradients_stay_off(two_threads: None) -> None:
    def asks(x: Tensor) -> Tensor:
        assert not torch.is_grad_enabled() and torch.get_num_threads() == 1
        return x

    each_apart(asks, [torch.zeros(1)] * 3)
    assert torch.get_num_threads() == 2


def test_an_error_in_a_part_reaches_the_caller(two_threads: None) -> None:
    with pytest.raises(ZeroDivisionError):
        each_apart(lambda x: torch.tensor(1 / x), [1, 0])


def test_many_episodes_are_followed_alike_on_one_core_and_on_two(two_threads: None) -> None:
    decisions = KitchenDecisions(episodes=16, tasks=4, precision="float32")
    follow = decisions.imagination
    obs = decisions._obs[:1].expand(1100, -1)
    plans = torch.rand(1100, 4, follow._layout.action_size) * 2 - 1
    with torch.no_grad():
        together = follow(obs, plans).obs
        torch.set_num_threads(1)
        alone = follow(obs, plans).obs
    torch.testing.assert_close(together, alone)
