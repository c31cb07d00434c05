"""Fits a reward head to labelled transitions.

The reward is a sum of a few terms (see `basis.py`) and, where these leave something unexplained and there are labels
enough, a residual network. Success is a union of boxes, or a network where no boxes separate the labels.
"""

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from world_models.layout import Layout
from world_models.rewards.basis import ABSOLUTE, Atoms, Terms, dictionary
from world_models.rewards.boxes import find_boxes
from world_models.rewards.head import Head, Labels
from world_models.rewards.places import Place, find_places
from world_models.rewards.quantities import Quantities
from world_models.rewards.residual import fit_residual
from world_models.rewards.sparse_regression import PRODUCTS, SEARCH_ROWS, Fit, add_products, forward_selection

MANY, ENOUGH = 300, 500
"""Labels from which on products, and from which on a network are tried."""

WELL = 0.005
"""Share of the variance, or of the states, that a simple head may get wrong without a network being tried."""

SEEN = 30
"""Successes from which on a network of success is tried."""

RELUCTANT = 0.5
"""Factor on the gain of atoms of the hand's absolute position: a task rather asks for things than for places."""

OPTIMISTIC = 1e-4
"""Gain of atoms |x - t| with t further out: where rewards only grow towards states never seen, the best of them
lies at the far end, so that the robot goes and looks."""


def fit_head(layout: Layout, labels: Labels, seed: int) -> Head:
    """Fit reward and success of one task."""
    order = _search_first(labels, torch.Generator().manual_seed(seed))
    some = Labels(*(part[order] for part in vars(labels).values()))
    y, win = some.reward, some.success
    shift, scale = y.double().mean(), y.double().std().clamp(min=1e-30)
    unit = (y - shift) / scale
    places = find_places(layout, some.next_obs, unit, win)
    still = Quantities.of(layout, places=places).of_states(some.next_obs)
    own = still.shape[1] - len(places)
    boxes = find_boxes(still, win, own)
    fit, places, x = _fit_terms(layout, some, unit, boxes.bumps(), places)
    before = Quantities.of(layout).before.start
    terms, weights = fit.terms.expanded(fit.weights[:-1], before)
    weights = torch.cat([weights * scale, (fit.weights[-1] * scale + shift)[None]]).float()
    cut = len(x) - max(1, len(x) // 5)
    judged = (find_boxes(still[:cut], win[:cut], own)(still[cut:]) > 0.5).any(dim=1) != win[cut:]
    head = Head(terms.atoms, weights, boxes, None, None, fit.error, float(judged.float().mean()), places)
    return head if len(x) < ENOUGH else _with_networks(head, x, still[:, :own], y, win, cut, seed)


def _fit_terms(
    layout: Layout, labels: Labels, y: Float[Tensor, " N"], sides: Atoms, places: tuple[Place, ...]
) -> tuple[Fit, tuple[Place, ...], Float[Tensor, "N Q"]]:
    """The terms, the places that they may read, and the quantities of the labels.

    What the first terms leave may be about other places, hidden behind them, and then about products.
    """
    for last in (False, True):
        quantities = Quantities.of(layout, places=places)
        x, before = quantities(labels.obs, labels.actions, labels.next_obs), quantities.before.start
        vocabulary = Terms.single(sides).and_also(dictionary(quantities, x))
        fit = forward_selection(vocabulary, x, y, before, prior=_prior(layout, quantities, vocabulary))
        if fit.error <= PRODUCTS or len(x) < MANY:
            break
        if last:
            fit = add_products(fit, quantities, sides, x, y)
        else:
            left = y - fit.terms(x.double(), before) @ fit.weights[:-1].double()
            others = find_places(layout, labels.next_obs, left, labels.success)
            places = (*places, *(place for place in others if place not in places))
    return fit, places, x


def _search_first(labels: Labels, generator: torch.Generator) -> Int[Tensor, " N"]:
    """A random order that begins with the labels to search: half at random, half of the best and of successes."""
    order = torch.randperm(len(labels.reward), generator=generator)
    if len(order) <= SEARCH_ROWS:
        return order
    best = labels.reward >= labels.reward.quantile(0.9)
    good = order[(best | labels.success)[order]][: SEARCH_ROWS // 2]
    first = torch.zeros(len(order), dtype=torch.bool)
    first[good] = True
    others = order[~first[order]]
    some = SEARCH_ROWS - len(good)
    head = torch.cat([good, others[:some]])
    head = head[torch.randperm(SEARCH_ROWS, generator=generator)]
    return torch.cat([head, others[some:]])


def _prior(layout: Layout, quantities: Quantities, terms: Terms) -> Float[Tensor, " M"]:
    """What tasks rather ask for: things than places of the hand, states than velocities and changes."""
    quantity, at, kind = (part[:, 0] for part in (terms.atoms.quantity, terms.atoms.at, terms.atoms.kind))
    at_hand = torch.tensor([name in _hand_columns(layout) for name in quantities.names])
    prior = torch.where(at_hand[quantity] | (quantity >= quantities.simple) | terms.change, RELUCTANT, 1.0)
    return prior * (1.0 + OPTIMISTIC * (at - 0.5).abs() * (kind == ABSOLUTE))


def _hand_columns(layout: Layout) -> set[str]:
    return {layout.columns[i] for i in layout.hand.positions} if layout.hand else set()


def _with_networks(head: Head, x: Tensor, still: Tensor, y: Tensor, win: Tensor, cut: int, seed: int) -> Head:
    """Networks are kept where they do better on held-out labels."""
    residual, success_net, reward_error, success_error = None, None, head.reward_error, head.success_error
    if reward_error > WELL:
        left = y - head.reward(x)
        trial = fit_residual(x[:cut, : still.shape[1]], left[:cut], seed)
        error = float((left[cut:] - trial(x[cut:])).square().mean() / y.var().clamp(min=1e-12))
        if error < 0.9 * reward_error:
            residual, reward_error = trial, error
    if success_error > WELL and int(win.sum()) >= SEEN:
        trial = fit_residual(still[:cut], win[:cut].float(), seed, binary=True)
        wrong = float(((trial(still[cut:]) > 0) != win[cut:]).float().mean())
        if wrong < success_error:
            success_net, success_error = trial, wrong
    return replace(
        head,
        residual=residual,
        success_net=success_net,
        reward_error=reward_error,
        success_error=success_error,
    )
