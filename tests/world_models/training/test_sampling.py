from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from world_models.errors import ModelError
from world_models.layout import Layout
from world_models.training.batches import MOST, draw_bags, draw_rows, moving_weights, replay_weights
from world_models.transitions import Transitions


def test_each_member_has_its_own_shuffle(generator: torch.Generator) -> None:
    rows = draw_rows(10, 30, generator, members=3)
    assert rows.shape == (3, 30)
    for start in (0, 10, 20):
        assert all(sorted(row) == list(range(10)) for row in rows[:, start : start + 10].tolist())
    assert not torch.equal(rows[0], rows[1])


def test_weights_say_how_often(generator: torch.Generator) -> None:
    weights = torch.tensor([0.0, 1.0, 3.0, 0.0])
    count = torch.stack([row.bincount(minlength=4) for row in draw_rows(4, 4000, generator, weights)])
    assert not count[:, [0, 3]].any()
    assert torch.allclose(count[:, 2] / 4000, torch.tensor(0.75), atol=0.03)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_member_sees_its_bag_alone(generator: torch.Generator, weighted: bool) -> None:
    bootstrap_rows = draw_bags(50, 2, generator)
    weights = torch.ones(50) if weighted else None
    rows = draw_rows(50, 2000, generator, weights, bootstrap_rows, members=2)
    for member in range(2):
        assert set(rows[member].tolist()) == set(bootstrap_rows[member].tolist())
        assert len(set(bootstrap_rows[member].tolist())) < 45


def test_a_replay_mix_keeps_its_shares_whatever_the_sizes(generator: torch.Generator) -> None:
    weights = replay_weights([900, 100], [0.5, 0.5])
    rows = draw_rows(1000, 4000, generator, weights, members=1)
    assert (rows >= 900).float().mean().item() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    ("sizes", "shares"), [([3], [0.5, 0.5]), ([3, 0], [0.5, 0.5]), ([3, 3], [-1.0, 2.0])]
)
def test_a_mix_that_is_none_is_refused(sizes: list[int], shares: list[float]) -> None:
    with pytest.raises(ModelError, match=r"share"):
        replay_weights(sizes, shares)


def pushed(layout: Layout, times: tuple[int, int], rows: int = 1000) -> Transitions:
    """The first slider moves in as many rows as the first number says, the second in the last ones."""
    obs = torch.zeros(rows, layout.obs_size)
    after = obs.clone()
    after[: times[0], 3] = after[len(after) - times[1] :, 4] = 0.05
    return Transitions(obs, torch.zeros(rows, layout.action_size), after)


def test_a_share_of_a_batch_moves_each_object_as_often(layout: Layout, generator: torch.Generator) -> None:
    weights = moving_weights(pushed(layout, (200, 50)), layout, 0.5)
    drawn = draw_rows(1000, 8000, generator, weights, members=1)[0]
    assert (drawn < 200).float().mean().item() == pytest.approx(0.25 + 0.1, abs=0.02)
    assert (drawn >= 950).float().mean().item() == pytest.approx(0.25 + 0.025, abs=0.02)
    assert moving_weights(pushed(layout, (200, 1)), layout, 0.5).max() == MOST


@pytest.mark.parametrize("share", [-0.5, 0.0, 1.5])
def test_a_share_that_is_none_is_refused(layout: Layout, share: float) -> None:
    with pytest.raises(ModelError, match="share of moving"):
        moving_weights(pushed(layout, (5, 5)), layout, share)
    with pytest.raises(ModelError, match="needs objects"):
        moving_weights(pushed(layout, (5, 5)), replace(layout, objects=(), hand=None), 0.5)
