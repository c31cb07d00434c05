"""Quantities of transitions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from world_models.layout import Layout
from world_models.rewards.quantities import Quantities
from world_models.transitions import Transitions


def test_quantities_are_what_their_names_say(layout: Layout, still: Callable[..., Tensor]) -> None:
    obs = still(torch.tensor([[0.25, 0.0, 0.3]]), torch.tensor([[0.1, 0.0]]))
    later = still(torch.tensor([[0.25, 0.1, 0.3]]), torch.tensor([[0.1, 0.05]]))
    action = torch.tensor([[0.1, 0.2, 0.2]])
    quantities = Quantities.of(layout)
    x = dict(zip(quantities.names, quantities(obs, action, later)[0].tolist(), strict=True))
    assert x["left"] == pytest.approx(1.0) and x["right"] == pytest.approx(0.75)
    assert x["right before"] == pytest.approx(0.5) and x["distance to right before"] == pytest.approx(0.3)
    assert x["x"] == pytest.approx(0.75) and x["action 2"] == pytest.approx(0.2)
    assert x["size of the action"] == pytest.approx(0.3) and x["way of hand"] == pytest.approx(0.1)
    assert x["left less right"] == pytest.approx(0.05)
    assert x["way of right"] == pytest.approx(0.05) and x["speed of left"] == 0.0


def test_rows_may_lie_in_columns_and_be_fewer(layout: Layout, train: Transitions) -> None:
    some, quantities = train[slice(0, 12)], Quantities.of(layout)
    all_of_them = quantities(some.obs, some.actions, some.next_obs)
    assert all_of_them.shape == (12, len(quantities)) and len(quantities.names) == len(quantities)
    parts = [part.view(3, 4, -1).mT for part in (some.obs, some.actions, some.next_obs)]
    torch.testing.assert_close(quantities.rows(*parts).mT.reshape(12, -1), all_of_them)
    few = quantities.rows(*parts, simple=True).mT.reshape(12, -1)
    torch.testing.assert_close(few, all_of_them[:, : quantities.simple])
    still = quantities.of_states(some.obs)
    assert not bool(still[:, [*quantities.actions, *quantities.moves, *quantities.before]].any())


def test_a_layout_without_objects_has_every_column() -> None:
    bare = Layout(("a", "b"), (0.0, -1.0), (1.0, 1.0), (True, False), 1)
    quantities = Quantities.of(bare)
    assert quantities.names == ("a", "b", "action 0", "size of the action", "a before", "b before")
    x = quantities(torch.tensor([[0.5, 1.0]]), torch.tensor([[-0.5]]), torch.tensor([[0.25, 0.0]]))
    torch.testing.assert_close(x, torch.tensor([[0.25, 0.5, -0.5, 0.5, 0.5, 1.0]]))
