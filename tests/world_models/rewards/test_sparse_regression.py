"""Atoms and the pursuit that picks a few of them: known additive rewards come back from few labels."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from world_models.layout import Layout
from world_models.rewards.basis import ABSOLUTE, BUMP, DECAY, ONE, SQUARE, Atoms, Terms, dictionary
from world_models.rewards.quantities import Quantities
from world_models.rewards.sparse_regression import Fit, add_products, forward_selection

LEFT, RIGHT, TO_LEFT, TO_RIGHT, ACTION = 3, 4, 5, 6, 7


def draw(rows: int, seed: int, width: int = 10) -> Tensor:
    """Quantities of the toy world: five shares, two distances (m), three actions, and what else there is."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(rows, width, generator=generator)
    x[:, ACTION : ACTION + 3] = 2 * x[:, ACTION : ACTION + 3] - 1
    return x


def simple(layout: Layout) -> Terms:
    """Terms of the simple quantities only."""
    quantities = Quantities.of(layout)
    terms = dictionary(quantities, draw(200, 0, len(quantities)))
    return terms[(terms.atoms.quantity[:, 0] < quantities.simple) & ~terms.change]


def gap(x: Tensor, column: int, to: float) -> Tensor:
    return (x[:, column] - to).abs()


REWARDS: dict[str, Callable[[Tensor], Tensor]] = {
    "move": lambda x: (gap(x, LEFT, 0.7) <= 0.1).float() - x[:, TO_LEFT] - 3 * gap(x, LEFT, 0.7),
    "between knots": lambda x: -2 * gap(x, RIGHT, 0.337) - 0.5 * x[:, TO_RIGHT],
    "two joints": lambda x: -3 * gap(x, LEFT, 0.2) - 3 * gap(x, RIGHT, 0.9) - x[:, TO_LEFT],
    "close": lambda x: torch.exp(-x[:, TO_RIGHT] / 0.12) - 0.3 * x[:, ACTION].abs(),
}


def reward_error(fit: Fit, reward: Callable[[Tensor], Tensor]) -> float:
    """Share of the variance of fresh labels that is missed."""
    x = draw(5000, 99)
    y = reward(x)
    return float((fit.terms(x, 0) @ fit.weights[:-1] + fit.weights[-1] - y).square().mean() / y.var())


@pytest.mark.parametrize(("labels", "most"), [(100, 0.06), (1000, 0.01)])
@pytest.mark.parametrize("name", REWARDS)
def test_additive_rewards_come_back_from_few_labels(
    layout: Layout, name: str, labels: int, most: float
) -> None:
    x = draw(labels, 0)
    fit = forward_selection(simple(layout), x, REWARDS[name](x))
    assert len(fit.weights) == len(fit.terms) + 1 <= 11
    assert reward_error(fit, REWARDS[name]) < most
    assert fit.error < 2 * most  # the estimate from a fifth of the labels


def test_more_labels_never_hurt_much(layout: Layout) -> None:
    errors = []
    for labels in (30, 100, 1000):
        x = draw(labels, 1)
        errors.append(reward_error(forward_selection(simple(layout), x, REWARDS["move"](x)), REWARDS["move"]))
    assert errors[2] <= errors[1] + 1e-4 and errors[1] <= errors[0] + 1e-4 and errors[2] < 1e-3


def test_the_error_on_held_out_labels_is_honest_about_noise(layout: Layout) -> None:
    x = draw(1000, 2)
    noise = torch.randn(1000, generator=torch.Generator().manual_seed(3))
    fit = forward_selection(simple(layout), x, noise)
    assert fit.error > 0.8 and len(fit.terms) <= 3
    assert abs(float(fit.weights[-1])) < 1.0


def test_a_constant_reward_needs_no_atom(layout: Layout) -> None:
    fit = forward_selection(simple(layout), draw(200, 0), torch.full((200,), 2.5))
    assert len(fit.terms) == 0 and fit.error == 0.0
    assert fit.weights.tolist() == pytest.approx([2.5], rel=1e-4)


def test_a_prior_makes_the_search_reluctant(layout: Layout) -> None:
    terms, x = simple(layout), draw(400, 4)
    x[:, LEFT] = x[:, 0]  # two quantities say the same; only the prior tells them apart
    for avoided, chosen in ((0, LEFT), (LEFT, 0)):
        prior = torch.where(terms.atoms.quantity[:, 0] == avoided, 0.5, 1.0)
        fit = forward_selection(terms, x, gap(x, 0, 0.5), prior=prior)
        assert set(fit.terms.atoms.quantity[:, 0].tolist()) == {chosen}


def test_at_most_so_many_atoms(layout: Layout) -> None:
    x = draw(500, 5)
    assert len(forward_selection(simple(layout), x, REWARDS["two joints"](x), most=2).terms) <= 2


PRODUCTS: dict[str, Callable[[Tensor], Tensor]] = {
    "a condition": lambda x: torch.where(gap(x, LEFT, 0.6) < 0.1, 2.0 - x[:, TO_RIGHT], -x[:, TO_LEFT]),
    "two open parts": lambda x: (
        -torch.where(gap(x, LEFT, 0.3) < 0.1, x[:, TO_RIGHT], x[:, TO_LEFT])
        - 2 * (gap(x, LEFT, 0.3) > 0.1)
        - 2 * (gap(x, RIGHT, 0.7) > 0.1)
    ),
    "a product": lambda x: -(0.2 + x[:, TO_LEFT]) * (0.2 + gap(x, LEFT, 0.5)),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_are_found_where_sums_fall_short(layout: Layout, name: str) -> None:
    quantities, reward = Quantities.of(layout), PRODUCTS[name]
    x = draw(2000, 6, len(quantities))
    plain = forward_selection(simple(layout), x, reward(x))
    assert plain.error > 0.01
    fit = add_products(plain, quantities, Atoms.of([]), x, reward(x))
    fresh = draw(5000, 98, len(quantities))
    y = reward(fresh)
    left = fit.terms(fresh, quantities.before.start) @ fit.weights[:-1] + fit.weights[-1] - y
    assert left.square().mean() / y.var() < 0.2 * plain.error


def test_changes_are_found_and_become_two_terms(layout: Layout) -> None:
    quantities = Quantities.of(layout)
    behind, x = quantities.before.start, draw(1000, 7, len(quantities))
    y = 10 * (gap(x, behind + LEFT, 0.5) - gap(x, LEFT, 0.5))
    fit = forward_selection(dictionary(quantities, x), x, y, behind)
    assert fit.terms.change.tolist() == [True] and fit.error < 1e-4
    terms, weights = fit.terms.expanded(fit.weights[:-1], behind)
    assert terms.atoms.quantity[:, 0].tolist() == [LEFT, behind + LEFT]
    torch.testing.assert_close(terms(x, behind) @ weights + fit.weights[-1], y, atol=1e-3, rtol=1e-3)


def test_kinds_of_atoms() -> None:
    atoms = Atoms.of([(0, kind, 0.5, 0.2) for kind in (ABSOLUTE, BUMP, DECAY, SQUARE)] + [ONE])
    values = atoms(torch.tensor([[0.5], [0.7], [0.9]]))
    expected = [[0.0, 1.0, 1.0, 0.0, 1.0], [0.2, 0.5, 0.3679, 0.04, 1.0], [0.4, 0.0, 0.1353, 0.16, 1.0]]
    torch.testing.assert_close(values, torch.tensor(expected), atol=1e-3, rtol=0)
    assert atoms[torch.tensor([2])].kind.tolist() == [DECAY]
