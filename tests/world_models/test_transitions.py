from __future__ import annotations

import pytest
import torch

from world_models.errors import ModelError
from world_models.layout import Layout
from world_models.transitions import Segments, Transitions, check_sizes


def rows(n: int = 4, columns: int = 3) -> torch.Tensor:
    return torch.zeros(n, columns)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((rows(), rows(3), rows()), "4 observations, but 3 actions"),
        ((rows(), rows(), rows(4, 2)), r"next_obs is \(4, 2\), but obs is \(4, 3\)"),
        ((rows().double(), rows(), rows()), "obs must be a float32 tensor, not torch.float64"),
        ((rows()[0], rows(), rows()), "obs has shape"),
        ((rows(), rows() + torch.nan, rows()), r"actions is nan at \[0, 0\]"),
        ((rows(), rows(), rows() - torch.inf), r"next_obs is -inf at \[0, 0\]"),
    ],
)
def test_bad_transitions_are_refused_in_one_line(parts: tuple[torch.Tensor, ...], message: str) -> None:
    with pytest.raises(ModelError, match=message) as error:
        Transitions(*parts)
    assert "\n" not in str(error.value)


def test_bad_segments_are_refused() -> None:
    with pytest.raises(ModelError, match=r"expected \(2, 3\)"):
        Segments(torch.zeros(2, 4, 3), torch.zeros(2, 4, 1))
    with pytest.raises(ModelError, match="nan"):
        Segments(torch.full((2, 4, 3), torch.nan), torch.zeros(2, 3, 1))


def test_rows_are_chosen_and_joined() -> None:
    data = Transitions(torch.arange(12.0).view(4, 3), rows(columns=1), rows())
    both = Transitions.join([data[:1], data[torch.tensor([3])], data[torch.tensor([False, True] * 2)]])
    assert both.obs[:, 0].tolist() == [0, 9, 3, 9]
    with pytest.raises(ModelError, match="cannot join"):
        Transitions.join([])
    with pytest.raises(ModelError, match="cannot join"):
        Transitions.join([data, Transitions(rows(columns=2), rows(columns=1), rows(columns=2))])


def episode(start: float, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    return start + torch.arange(steps + 1.0)[:, None], start + torch.arange(float(steps))[:, None]


def test_episodes_become_transitions() -> None:
    data = Transitions.of([episode(0, 3), episode(10, 2)])
    assert data.obs[:, 0].tolist() == [0, 1, 2, 10, 11]
    assert torch.equal(data.next_obs, data.obs + 1)
    assert torch.equal(data.actions, data.obs)


def test_segments_are_cut_within_episodes(generator: torch.Generator) -> None:
    found = Segments.cut([episode(0, 5), episode(100, 2), episode(200, 4)], 4, 99, generator)
    assert sorted(found.obs[:, 0, 0].tolist()) == [0, 1, 200]
    assert torch.equal(found.obs[:, 1:], found.obs[:, :-1] + 1)
    assert torch.equal(found.obs[:, :-1], found.actions)
    assert found.horizon == 4
    assert len(Segments.cut([episode(0, 50)], 4, 7, generator)) == 7


def test_no_episode_is_long_enough(generator: torch.Generator) -> None:
    with pytest.raises(ModelError, match="as long as the 12 steps"):
        Segments.cut([episode(0, 11)], 12, 5, generator)


def test_data_of_another_world_are_refused(layout: Layout) -> None:
    with pytest.raises(ModelError, match="3 observation columns and 3 actions, the model 16 and 3"):
        check_sizes(Transitions(rows(), rows(), rows()), layout)
    with pytest.raises(ModelError, match="no transitions"):
        check_sizes(Transitions(rows(0, 16), rows(0), rows(0, 16)), layout)
