"""Success as intervals, or as a union of such boxes, found from labelled states."""

from __future__ import annotations

import torch
from torch import Tensor

from world_models.rewards.boxes import SIDES, Box, find_box, find_boxes


def states(rows: int, seed: int = 0) -> Tensor:
    return torch.rand(rows, 8, generator=torch.Generator().manual_seed(seed))


def both(x: Tensor) -> Tensor:
    return (x[:, 2] > 0.6) & (x[:, 5] > 0.2) & (x[:, 5] < 0.5)


def sides(box: Box) -> dict[int, tuple[float, float]]:
    """The sides that constrain something."""
    rows = zip(box.quantity.tolist(), box.low.tolist(), box.high.tolist(), strict=True)
    return {q: (low, high) for q, low, high in rows if (low, high) != (-torch.inf, torch.inf)}


def test_a_conjunction_of_intervals_comes_back() -> None:
    x = states(2000)
    found = sides(find_box(x, both(x)))
    assert set(found) == {2, 5}
    assert abs(found[2][0] - 0.6) < 0.02 and found[2][1] == torch.inf  # no failure above: open
    assert abs(found[5][0] - 0.2) < 0.02 and abs(found[5][1] - 0.5) < 0.02


def test_it_judges_fresh_states() -> None:
    x, fresh = states(2000), states(5000, seed=1)
    wrong = (find_box(x, both(x))(fresh) > 0.5) != both(fresh)
    assert wrong.float().mean() < 0.01
    few = states(100, seed=2)
    wrong = (find_box(few, both(few))(fresh) > 0.5) != both(fresh)
    assert wrong.float().mean() < 0.1


def test_the_box_is_empty_where_nothing_succeeded() -> None:
    x = states(100)
    box = find_box(x, torch.zeros(100, dtype=torch.bool))
    assert bool((box.low > box.high).all())
    assert bool((box(x) == 0).all())


def test_the_box_is_everything_where_all_succeeded() -> None:
    x = states(100)
    box = find_box(x, torch.ones(100, dtype=torch.bool))
    assert not sides(box) and bool((box(10 * x - 5) == 1).all())


def test_one_success_is_enough_for_a_box() -> None:
    x = states(200)
    success = torch.zeros(200, dtype=torch.bool)
    success[7] = True
    box = find_box(x, success)
    assert box(x)[7] > 0.5 and (box(x) > 0.5).float().mean() < 0.1
    assert len(sides(box)) <= SIDES


def test_values_are_near_one_inside_a_half_on_the_edge_and_near_zero_outside() -> None:
    quantity = torch.zeros(SIDES, dtype=torch.long)
    box = Box(quantity, torch.full((SIDES,), 0.2), torch.full((SIDES,), 0.6))
    x = torch.tensor([0.1, 0.2, 0.4, 0.6, 0.7])[:, None]
    inside, edge, outside = box(x)[2], box(x)[[1, 3]], box(x)[[0, 4]]
    assert inside > 0.99 and (outside < 0.01).all()
    torch.testing.assert_close(edge, torch.full((2,), 0.5))
    assert box(x.expand(3, 5, 1)).shape == (3, 5)


def test_its_sides_are_bumps_that_jump_where_success_begins() -> None:
    x = torch.rand(2000, 4, generator=torch.Generator().manual_seed(3))
    success = (x[:, 2] > 0.63) & (x[:, 1] > 0.2) & (x[:, 1] < 0.41)
    bumps = find_box(x, success).bumps()
    assert sorted(bumps.quantity.tolist()) == [1, 2]
    inside = (bumps(x, 1e-5) > 0.5).all(dim=-1)
    assert (inside == success).float().mean() > 0.998


def test_a_union_of_boxes_comes_back() -> None:
    x = states(4000, seed=4)
    either = both(x) | (x[:, 1] < 0.1) | ((x[:, 4] > 0.7) & (x[:, 6] < 0.3))
    found = find_boxes(x, either)
    assert 3 <= len(found.quantity) <= 4
    fresh = states(5000, seed=5)
    right = both(fresh) | (fresh[:, 1] < 0.1) | ((fresh[:, 4] > 0.7) & (fresh[:, 6] < 0.3))
    assert ((found(fresh) > 0.5).any(dim=1) != right).float().mean() < 0.03


def test_one_box_stays_one_where_it_is_enough() -> None:
    x = states(2000)
    one, found = find_box(x, both(x)), find_boxes(x, both(x))
    assert found.quantity.shape == (1, SIDES)
    assert torch.equal(found.low[0], one.low) and torch.equal(found.high[0], one.high)
    assert len(find_boxes(x, torch.zeros(2000, dtype=torch.bool)).quantity) == 1
