"""Reward heads: a small, detachable model of reward and success per task.

A head is fitted on labelled transitions alone: on the relabelled pool, or on a few labels of a new task. Its
reward is a sum of a few terms (see `basis.py`) and, where these leave something unexplained and there are labels
enough, a residual network. Its success is a union of boxes, or a network where no boxes separate the labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from world_models.errors import ModelError
from world_models.layout import Layout
from world_models.rewards.basis import ABSOLUTE, BUMP, Atoms, Terms, dictionary
from world_models.rewards.boxes import Box, find_boxes
from world_models.rewards.quantities import Quantities
from world_models.rewards.residual import ResidualNet, StackedNets, fit_residual
from world_models.rewards.sparse_regression import PRODUCTS, SEARCH_ROWS, add_products, forward_selection


@dataclass(frozen=True, eq=False)
class Head:
    """One task's reward and success.

    Attributes:
        atoms: [M F]; the reward is a sum of M products of F atoms.
        weights: of the products, and the constant.
        boxes: [U]; a state in any of them is a success.
        residual: network of what the products leave over.
        success_net: network of success instead of the boxes.
        reward_error: share of the variance of held-out reward labels that the head gets wrong.
        success_error: share of held-out states whose success the head gets wrong.
    """

    atoms: Atoms
    weights: Float[Tensor, " W"]
    boxes: Box
    residual: ResidualNet | None
    success_net: ResidualNet | None
    reward_error: float
    success_error: float

    def reward(self, x: Float[Tensor, "*b Q"]) -> Float[Tensor, "*b"]:
        """Reward of transitions given by their quantities."""
        total = self.atoms(x).prod(dim=-1) @ self.weights[:-1] + self.weights[-1]
        return total if self.residual is None else total + self.residual(x)

    def success(self, x: Float[Tensor, "*b Q"]) -> Float[Tensor, "*b"]:
        """Probability of success of states given by their quantities."""
        if self.success_net is not None:
            return torch.sigmoid(self.success_net(x))
        return self.boxes(x).amax(dim=-1)

    def to(self, device: torch.device) -> "Head":
        """The same head on another device."""

        def moved(net: ResidualNet | None) -> ResidualNet | None:
            return None if net is None else net.to(device)

        return replace(
            self,
            atoms=Atoms(*(part.to(device) for part in vars(self.atoms).values())),
            weights=self.weights.to(device),
            boxes=Box(*(part.to(device) for part in vars(self.boxes).values())),
            residual=moved(self.residual),
            success_net=moved(self.success_net),
        )

    def describe(self, layout: Layout) -> list[str]:
        """The terms in words, the constant last."""
        names = Quantities.of(layout).names
        kinds = (
            "|x - {t:.3g}|",
            "[|x - {t:.3g}| < {w:.3g}]",
            "exp(-|x - {t:.3g}| / {w:.3g})",
            "(x - {t:.3g})^2",
        )
        lines = []
        for m, weight in enumerate(self.weights[:-1].tolist()):
            rows = zip(*(part[m].tolist() for part in vars(self.atoms).values()), strict=True)
            factors = [f"{kinds[k]} of {names[q]}".format(t=t, w=w) for q, k, t, w in rows if w < torch.inf]
            lines.append(f"{weight:+.3g} {' times '.join(factors)}")
        return [*lines, f"{float(self.weights[-1]):+.3g}"]


@dataclass(frozen=True)
class HeadStack:
    """K heads as one set of tensors; heads of fewer terms are filled up with terms of weight zero.

    Attributes:
        quantities: computes what the heads read.
        atoms: [K M F] of them.
        weights: of the terms.
        constant: what each head adds.
        boxes: [K U] of them.
        residuals: networks of the heads that have one.
        judges: networks of success of the heads that have one.
        simple: whether no head's terms read more than the simple quantities.
        plainly_judged: whether no head's boxes do.
    """

    quantities: Quantities
    atoms: Atoms
    weights: Float[Tensor, "K M"]
    constant: Float[Tensor, " K"]
    boxes: Box
    residuals: Sequence[ResidualNet | None]
    judges: Sequence[ResidualNet | None]
    simple: bool
    plainly_judged: bool

    @classmethod
    def of(cls, layout: Layout, heads: Sequence[Head]) -> "HeadStack":
        """The heads side by side."""
        quantities = Quantities.of(layout, heads[0].weights.device)
        atoms = {
            part: _stacked([getattr(h.atoms, part) for h in heads], fill) for part, fill in _NO_ATOM.items()
        }
        boxes = {
            part: _stacked([getattr(h.boxes, part) for h in heads], fill) for part, fill in _NO_BOX.items()
        }
        weights = _stacked([head.weights[:-1] for head in heads], 0.0)
        return cls(
            quantities,
            Atoms(**atoms),
            weights,
            torch.stack([head.weights[-1] for head in heads]),
            Box(**boxes),
            [head.residual for head in heads],
            [head.success_net for head in heads],
            bool((atoms["quantity"] < quantities.simple).all()),
            bool((boxes["quantity"] < quantities.simple).all()),
        )


_NO_ATOM = {"quantity": 0, "kind": BUMP, "at": 0.0, "width": torch.inf}
_NO_BOX = {"quantity": 0, "low": torch.inf, "high": -torch.inf}


def _stacked(parts: Sequence[Tensor], fill: int | float) -> Tensor:
    """Tensors of unequal sizes as one, filled up to the largest and to at least one element."""
    sizes = [max(1, *(part.shape[i] for part in parts)) for i in range(parts[0].dim())]

    def filled(part: Tensor) -> Tensor:
        gaps = [gap for i in reversed(range(part.dim())) for gap in (0, sizes[i] - part.shape[i])]
        return nn.functional.pad(part, gaps, value=fill)

    return torch.stack([filled(part) for part in parts])


class HeadBatch:
    """Head `heads[s]` for episode `rows[s]`, for each of S pairs."""

    def __init__(self, stack: HeadStack, rows: Int[Tensor, " S"], heads: Int[Tensor, " S"]) -> None:
        self._rows, self._heads, self._stack = rows, heads, stack
        self._atoms = stack.atoms[heads]
        self._weights = stack.weights[heads][..., None]
        self._constant = stack.constant[heads][:, None]

    def reward(
        self,
        obs: Float[Tensor, "*h B N O"],
        action: Float[Tensor, "*h B N A"],
        next_obs: Float[Tensor, "*h B N O"],
    ) -> Float[Tensor, "*h S N"]:
        """Reward of each pair's candidates."""
        nets = self._residuals
        x = self._stack.quantities.rows(
            obs.mT, action.mT, next_obs.mT, simple=self._stack.simple and nets is None
        )
        values = self._atoms.of_columns(self._gathered(x, self._atoms.quantity))
        product = values[..., 0, :] if values.shape[-2] == 1 else values.prod(dim=-2)
        total = (product * self._weights).sum(dim=-2) + self._constant
        if nets is None:
            return total
        where, stacked = nets
        return total.index_add(-2, where, stacked(x.index_select(-3, self._rows[where])))

    def success(self, obs: Float[Tensor, "*h B N O"]) -> Float[Tensor, "*h S N"]:
        """Probability that each pair's candidates fulfil its task."""
        quantities, judges = self._stack.quantities, self._judges
        x = quantities.rows_of_states(obs.mT, simple=self._stack.plainly_judged and judges is None)
        box = self._box
        inside = box.of_columns(self._gathered(x, box.quantity))
        chance = inside[..., 0, :] if inside.shape[-2] == 1 else inside.amax(dim=-2)
        if judges is None:
            return chance
        where, nets = judges
        return chance.index_copy(-2, where, torch.sigmoid(nets(x.index_select(-3, self._rows[where]))))

    def _gathered(self, x: Float[Tensor, "*h B Q N"], quantity: Int[Tensor, "S *m"]) -> Tensor:
        """The quantities that each pair asks for, [*h S *m N]."""
        at = self._rows.view(-1, *[1] * (quantity.dim() - 1)) * x.shape[-2] + quantity
        return x.flatten(-3, -2).index_select(-2, at.flatten()).unflatten(-2, at.shape)

    @cached_property
    def _box(self) -> Box:
        boxes = self._stack.boxes
        return Box(*(part[self._heads] for part in (boxes.quantity, boxes.low, boxes.high)))

    @cached_property
    def _residuals(self) -> tuple[Tensor, StackedNets] | None:
        return self._networks(self._stack.residuals)

    @cached_property
    def _judges(self) -> tuple[Tensor, StackedNets] | None:
        return self._networks(self._stack.judges)

    def _networks(self, nets: Sequence[ResidualNet | None]) -> tuple[Tensor, StackedNets] | None:
        """Which pairs have a network, and those networks."""
        if all(net is None for net in nets):
            return None
        chosen = [(s, net) for s, k in enumerate(self._heads.tolist()) if (net := nets[k]) is not None]
        if not chosen:
            return None
        where = torch.tensor([s for s, _ in chosen], device=self._rows.device)
        return where, StackedNets([net for _, net in chosen])


LEAST = 10
"""Labels that a head needs."""

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


@dataclass(frozen=True)
class Labels:
    """Labelled transitions of one task."""

    obs: Float[Tensor, "N O"]
    actions: Float[Tensor, "N A"]
    next_obs: Float[Tensor, "N O"]
    reward: Float[Tensor, " N"]
    success: Bool[Tensor, " N"]


class RewardHeads:
    """Heads by task name. Adding one touches neither the dynamics nor any other head."""

    def __init__(self, layout: Layout, heads: Mapping[str, Head] | None = None) -> None:
        self.layout = layout
        self.heads = dict(heads or {})
        self._stacked: tuple[tuple[Head, ...], HeadStack] | None = None

    def __repr__(self) -> str:
        """The tasks and how well each head fits."""
        known = (f"{name} (reward error {head.reward_error:.1%})" for name, head in self.heads.items())
        return f"RewardHeads({', '.join(known)})"

    def add(self, name: str, labels: Labels, seed: int = 0) -> Head:
        """Fit a head; a head of that name is replaced.

        Raises:
            ModelError: fewer than 10 labels, or a label that is not finite.
        """
        count, bad = len(labels.reward), int((~torch.isfinite(labels.reward)).sum())
        if count < LEAST:
            raise ModelError(f"task {name!r}: a reward head needs at least {LEAST} labels, got {count}")
        if bad:
            raise ModelError(
                f"task {name!r}: its reward is not finite in {bad} of {count} labelled transitions"
            )
        device = labels.obs.device  # a search over few labels is quickest on the CPU, wherever the model is
        here = Labels(*(part.cpu() for part in vars(labels).values()))
        self.heads[name] = fit_head(self.layout, here, seed).to(device)
        return self.heads[name]

    def reward(
        self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b O"]
    ) -> Float[Tensor, "*b K"]:
        """Reward of each transition in each task, in the order of `heads`."""
        x = Quantities.of(self.layout, obs.device)(obs, action, next_obs)
        return torch.stack([head.reward(x) for head in self.heads.values()], dim=-1)

    def success(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b K"]:
        """Probability that each state fulfils each task."""
        x = Quantities.of(self.layout, obs.device).of_states(obs)
        return torch.stack([head.success(x) for head in self.heads.values()], dim=-1)

    def pairs(self, rows: Int[Tensor, " S"], tasks: Int[Tensor, " S"]) -> HeadBatch:
        """Head number `tasks[s]` for episode `rows[s]`: all in one program."""
        heads = tuple(self.heads.values())
        if self._stacked is None or self._stacked[0] != heads:
            self._stacked = heads, HeadStack.of(self.layout, heads)
        return HeadBatch(self._stacked[1], rows, tasks)

    def select(self, names: list[str]) -> "RewardHeads":
        """The heads of these tasks, in this order.

        Raises:
            ModelError: there is no head of that name.
        """
        missing = [name for name in names if name not in self.heads]
        if missing:
            raise ModelError(f"no reward head for {missing[0]!r}; fit one from labels first")
        return RewardHeads(self.layout, {name: self.heads[name] for name in names})


def fit_head(layout: Layout, labels: Labels, seed: int) -> Head:
    """Reward by forward selection, success by boxes; networks where these fall short and labels allow."""
    quantities = Quantities.of(layout)
    order = _search_first(labels, torch.Generator().manual_seed(seed))
    obs, actions, next_obs, y, win = (part[order] for part in vars(labels).values())
    x, still = quantities(obs, actions, next_obs), quantities.of_states(next_obs)
    boxes = find_boxes(still, win)
    shift, scale = y.double().mean(), y.double().std().clamp(min=1e-30)
    unit = (y - shift) / scale
    single, before = dictionary(quantities, x), quantities.before.start
    vocabulary = Terms.single(boxes.bumps()).and_also(single)
    fit = forward_selection(vocabulary, x, unit, before, prior=_prior(layout, quantities, vocabulary))
    if fit.error > PRODUCTS and len(x) >= MANY:
        fit = add_products(fit, quantities, boxes.bumps(), x, unit)
    terms, weights = fit.terms.expanded(fit.weights[:-1], before)
    weights = torch.cat([weights * scale, (fit.weights[-1] * scale + shift)[None]]).float()
    cut = len(x) - max(1, len(x) // 5)
    judged = (find_boxes(still[:cut], win[:cut])(still[cut:]) > 0.5).any(dim=1) != win[cut:]
    head = Head(terms.atoms, weights, boxes, None, None, fit.error, float(judged.float().mean()))
    return head if len(x) < ENOUGH else _with_networks(head, x, still, y, win, cut, seed)


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
        trial = fit_residual(x[:cut], left[:cut], seed)
        error = float((left[cut:] - trial(x[cut:])).square().mean() / y.var().clamp(min=1e-12))
        if error < 0.9 * reward_error:
            residual, reward_error = trial, error
    if success_error > WELL and int(win.sum()) >= SEEN:
        trial = fit_residual(still[:cut], win[:cut].float(), seed, binary=True)
        wrong = float(((trial(still[cut:]) > 0) != win[cut:]).float().mean())
        if wrong < success_error:
            success_net, success_error = trial, wrong
    return Head(head.atoms, head.weights, head.boxes, residual, success_net, reward_error, success_error)
