"""Atoms and the pursuit that picks a few of them: known additive rewards come back from few labels."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from world_models.layout import Layout
from world_models.rewards.basis import (
    ABSOLUTE,
    BUMP,
    DECAY,
    SHARP,
    Atoms,
    dictionary,
    quantities,
    quantity_names,
)
from world_models.rewards.sparse_regression import forward_selection

LEFT, RIGHT, TO_LEFT, TO_RIGHT, ACTION = 3, 4, 5, 6, 7


def draw(rows: int, seed: int) -> Tensor:
    """Quantities of the toy world: five shares, two distances (m), three actions."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(rows, 10, generator=generator)
    x[:, ACTION:] = 2 * x[:, ACTION:] - 1
    return x


def gap(x: Tensor, column: int, to: float) -> Tensor:
    return (x[:, column] - to).abs()


REWARDS: dict[str, Callable[[Tensor], Tensor]] = {
    "move": lambda x: (gap(x, LEFT, 0.7) <= 0.1).float() - x[:, TO_LEFT] - 3 * gap(x, LEFT, 0.7),
    "between knots": lambda x: -2 * gap(x, RIGHT, 0.337) - 0.5 * x[:, TO_RIGHT],
    "two joints": lambda x: -3 * gap(x, LEFT, 0.2) - 3 * gap(x, RIGHT, 0.9) - x[:, TO_LEFT],
    "close": lambda x: torch.exp(-x[:, TO_RIGHT] / 0.12) - 0.3 * x[:, ACTION].abs(),
}


def reward_error(found: Atoms, weights: Tensor, reward: Callable[[Tensor], Tensor]) -> float:
    """Share of the variance of fresh labels that is missed."""
    x = draw(5000, 99)
    y = reward(x)
    return float((found(x, SHARP) @ weights[:-1] + weights[-1] - y).square().mean() / y.var())


@pytest.mark.parametrize(("labels", "most"), [(100, 0.06), (1000, 0.01)])
@pytest.mark.parametrize("name", REWARDS)
def test_additive_rewards_come_back_from_few_labels(
    layout: Layout, name: str, labels: int, most: float
) -> None:
    x = draw(labels, 0)
    found, weights, left = forward_selection(dictionary(layout), x, REWARDS[name](x))
    assert len(weights) == len(found.at) + 1 <= 11
    assert reward_error(found, weights, REWARDS[name]) < most
    assert left < 2 * most  # the estimate from a fifth of the labels


def test_more_labels_never_hurt_much(layout: Layout) -> None:
    errors = []
    for labels in (30, 100, 1000):
        x = draw(labels, 1)
        errors.append(
            reward_error(*forward_selection(dictionary(layout), x, REWARDS["move"](x))[:2], REWARDS["move"])
        )
    assert errors[2] <= errors[1] + 1e-4 and errors[1] <= errors[0] + 1e-4 and errors[2] < 1e-3


def test_the_error_on_held_out_labels_is_honest_about_noise(layout: Layout) -> None:
    x = draw(1000, 2)
    noise = torch.randn(1000, generator=torch.Generator().manual_seed(3))
    found, weights, left = forward_selection(dictionary(layout), x, noise)
    assert left > 0.8 and len(found.at) <= 3
    assert abs(float(weights[-1])) < 1.0


def test_a_constant_reward_needs_no_atom(layout: Layout) -> None:
    found, weights, left = forward_selection(dictionary(layout), draw(200, 0), torch.full((200,), 2.5))
    assert len(found.at) == 0 and left == 0.0
    assert weights.tolist() == pytest.approx([2.5], rel=1e-4)


def test_a_prior_makes_the_search_reluctant(layout: Layout) -> None:
    atoms, x = dictionary(layout), draw(400, 4)
    x[:, LEFT] = x[:, 0]  # two quantities say the same; only the prior tells them apart
    for avoided, chosen in ((0, LEFT), (LEFT, 0)):
        prior = torch.where(atoms.quantity == avoided, 0.5, 1.0)
        found, _, _ = forward_selection(atoms, x, gap(x, 0, 0.5), prior=prior)
        assert set(found.quantity.tolist()) == {chosen}


def test_at_most_so_many_atoms(layout: Layout) -> None:
    x = draw(500, 5)
    found, _, _ = forward_selection(dictionary(layout), x, REWARDS["two joints"](x), most=2)
    assert len(found.at) <= 2


def test_kinds_of_atoms() -> None:
    kinds = torch.tensor([ABSOLUTE, BUMP, DECAY])
    atoms = Atoms(torch.zeros(3, dtype=torch.long), kinds, torch.full((3,), 0.5), torch.full((3,), 0.2))
    values = atoms(torch.tensor([[0.5], [0.7], [0.9]]))
    expected = torch.tensor([[0.0, 1.0, 1.0], [0.2, 0.5, 0.3679], [0.4, 0.0, 0.1353]])
    torch.testing.assert_close(values, expected, atol=1e-3, rtol=0)
    moved = atoms.moved(0.1)
    assert moved.at.tolist() == pytest.approx([0.6] * 3) and atoms.at.tolist() == [0.5] * 3
    assert atoms[torch.tensor([2])].kind.tolist() == [DECAY]


def test_quantities_are_what_their_names_say(layout: Layout, still: Callable[..., Tensor]) -> None:
    obs = still(torch.tensor([[0.25, 0.0, 0.3]]), torch.tensor([[0.1, 0.0]]))
    action = torch.tensor([[0.1, 0.2, 0.3]])
    x = dict(zip(quantity_names(layout), quantities(layout, action, obs)[0].tolist(), strict=True))
    assert x["left"] == pytest.approx(1.0) and x["right"] == pytest.approx(0.5)
    assert x["x"] == pytest.approx(0.75) and x["action 2"] == pytest.approx(0.3)
    assert x["distance to right"] == pytest.approx(0.3)
    assert quantities(layout, action.expand(2, 3, 3), obs.expand(2, 3, 16)).shape == (2, 3, 10)


def test_a_layout_without_objects_has_every_column() -> None:
    bare = Layout(("a", "b"), (0.0, -1.0), (1.0, 1.0), (True, False), 1)
    assert quantity_names(bare) == ["a", "b", "action 0"]
    x = quantities(bare, torch.tensor([[0.5]]), torch.tensor([[0.25, 0.0]]))
    torch.testing.assert_close(x, torch.tensor([[0.25, 0.5, 0.5]]))
