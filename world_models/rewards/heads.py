"""Reward heads: a small, detachable model of reward and success per task.

A head is fitted on labelled transitions alone: on the relabelled pool, or on a few labels of a new task. Its
reward is a handful of atoms (see `basis.py`) and, where these leave something unexplained and there are labels
enough, a residual network. Its success is a box, or a network where no box separates the labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from world_models.errors import ModelError
from world_models.layout import Layout
from world_models.rewards.basis import (
    ABSOLUTE,
    Atoms,
    Box,
    dictionary,
    find_box,
    quantities,
    quantity_columns,
    quantity_names,
)
from world_models.rewards.residual import ResidualNet, StackedNets, fit_residual
from world_models.rewards.sparse_regression import forward_selection


@dataclass(frozen=True, eq=False)
class Head:
    """One task's reward and success.

    Attributes:
        reward_error: share of the variance of held-out reward labels that the head gets wrong.
        success_error: share of held-out states whose success the head gets wrong.
    """

    atoms: Atoms
    weights: Float[Tensor, " M"]
    box: Box
    residual: ResidualNet | None
    success_net: ResidualNet | None
    reward_error: float
    success_error: float

    def reward(self, x: Float[Tensor, "*b Q"]) -> Float[Tensor, "*b"]:
        """Reward of transitions given by their quantities."""
        total = self.atoms(x) @ self.weights[:-1] + self.weights[-1]
        return total if self.residual is None else total + self.residual(x)

    def success(self, x: Float[Tensor, "*b Q"]) -> Float[Tensor, "*b"]:
        """Probability of success of states given by their quantities."""
        return self.box(x) if self.success_net is None else torch.sigmoid(self.success_net(x))

    def to(self, device: torch.device) -> "Head":
        """The same head on another device."""

        def moved(net: ResidualNet | None) -> ResidualNet | None:
            return None if net is None else net.to(device)

        return replace(
            self,
            atoms=Atoms(*(part.to(device) for part in vars(self.atoms).values())),
            weights=self.weights.to(device),
            box=Box(*(part.to(device) for part in vars(self.box).values())),
            residual=moved(self.residual),
            success_net=moved(self.success_net),
        )

    def describe(self, layout: Layout) -> list[str]:
        """The atoms in words, the constant last."""
        names, kinds = quantity_names(layout), ("|x - t|", "[|x - t| < w]", "exp(-|x - t| / w)")
        columns = (self.atoms.quantity, self.atoms.kind, self.atoms.at, self.atoms.width, self.weights[:-1])
        rows = zip(*(column.tolist() for column in columns), strict=True)
        lines = [f"{w:+.2f} {kinds[k]} of {names[q]}, t={t:.3g} w={r:.3g}" for q, k, t, r, w in rows]
        return [*lines, f"{float(self.weights[-1]):+.2f}"]


@dataclass(frozen=True)
class HeadStack:
    """K heads as one set of tensors; heads of fewer atoms are filled up with atoms of weight zero.

    Attributes:
        layout: the observation's columns.
        atoms: [K M] of them.
        weights: of the atoms.
        constant: what each head adds.
        boxes: [K] of them.
        residuals: networks of the heads that have one.
        judges: networks of success of the heads that have one.
    """

    layout: Layout
    atoms: Atoms
    weights: Float[Tensor, "K M"]
    constant: Float[Tensor, " K"]
    boxes: Box
    residuals: Sequence[ResidualNet | None]
    judges: Sequence[ResidualNet | None]

    @classmethod
    def of(cls, layout: Layout, heads: Sequence[Head]) -> "HeadStack":
        """The heads side by side."""
        most = max(1, *(len(head.atoms.at) for head in heads))

        def filled(part: str, value: int | float) -> Tensor:
            rows = [getattr(head.atoms, part) for head in heads]
            return torch.stack([nn.functional.pad(row, (0, most - len(row)), value=value) for row in rows])

        atoms = Atoms(
            filled("quantity", 0), filled("kind", ABSOLUTE), filled("at", 0.0), filled("width", 1.0)
        )
        weights = [nn.functional.pad(head.weights[:-1], (0, most + 1 - len(head.weights))) for head in heads]
        parts = ([getattr(head.box, part) for head in heads] for part in ("quantity", "low", "high"))
        return cls(
            layout,
            atoms,
            torch.stack(weights),
            torch.stack([head.weights[-1] for head in heads]),
            Box(*map(torch.stack, parts)),
            [head.residual for head in heads],
            [head.success_net for head in heads],
        )


class HeadBatch:
    """Head `heads[s]` for episode `rows[s]`, for each of S pairs."""

    def __init__(self, stack: HeadStack, rows: Int[Tensor, " S"], heads: Int[Tensor, " S"]) -> None:
        self._layout, self._rows, self._heads, self._stack = stack.layout, rows, heads, stack
        self._atoms = stack.atoms[heads]
        self._weights = stack.weights[heads][..., None]
        self._constant = stack.constant[heads][:, None]

    def reward(
        self,
        obs: Float[Tensor, "*h B N O"],
        action: Float[Tensor, "*h B N A"],
        next_obs: Float[Tensor, "*h B N O"],
    ) -> Float[Tensor, "*h S N"]:
        """Reward of each pair's candidates; rewards are of the state reached."""
        x = quantity_columns(self._layout, action.mT, next_obs.mT)
        values = self._atoms.of_columns(self._gathered(x, self._atoms.quantity))
        total = (values * self._weights).sum(dim=-2) + self._constant
        if self._residuals is None:
            return total
        where, nets = self._residuals
        return total.index_add(-2, where, nets(x.index_select(-3, self._rows[where])))

    def success(self, obs: Float[Tensor, "*h B N O"]) -> Float[Tensor, "*h S N"]:
        """Probability that each pair's candidates fulfil its task."""
        action = obs.new_zeros(()).expand(*obs.shape[:-1], self._layout.action_size)
        x = quantity_columns(self._layout, action.mT, obs.mT)
        box = self._box
        chance = box.of_columns(self._gathered(x, box.quantity))
        if self._judges is None:
            return chance
        where, nets = self._judges
        return chance.index_copy(-2, where, torch.sigmoid(nets(x.index_select(-3, self._rows[where]))))

    def _gathered(self, x: Float[Tensor, "*h B Q N"], quantity: Int[Tensor, "S m"]) -> Tensor:
        """The quantities that each pair asks for, [*h S m N]."""
        at = self._rows[:, None] * x.shape[-2] + quantity
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


ENOUGH = 500
"""Labels from which on a network is tried."""

WELL = 0.02
"""Share of the variance, or of the states, that a simple head may get wrong without a network being tried."""

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
        if count < 10:
            raise ModelError(f"task {name!r}: a reward head needs at least 10 labels, got {count}")
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
        """Reward of each transition in each task, in the order of `heads`; rewards are of the state reached."""
        x = quantities(self.layout, action, next_obs)
        return torch.stack([head.reward(x) for head in self.heads.values()], dim=-1)

    def success(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b K"]:
        """Probability that each state fulfils each task."""
        x = quantities(self.layout, obs.new_zeros(*obs.shape[:-1], self.layout.action_size), obs)
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
    """Reward by pursuit, success by a box; networks where these fall short and labels allow."""
    x = quantities(layout, labels.actions, labels.next_obs)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    x, y, win = x[order], labels.reward[order], labels.success[order]
    still = x.clone()
    still[:, -layout.action_size :] = 0.0
    box = find_box(still, win)
    vocabulary = dictionary(layout).and_also(box.bumps())
    at_hand = torch.tensor([name in _hand_columns(layout) for name in quantity_names(layout)])
    prior = torch.where(at_hand[vocabulary.quantity], RELUCTANT, 1.0)
    prior = prior * (1.0 + OPTIMISTIC * (vocabulary.at - 0.5).abs() * (vocabulary.kind == ABSOLUTE))
    atoms, weights, reward_error = forward_selection(vocabulary, x, y, prior=prior)
    cut = len(x) - max(1, len(x) // 5)
    judged = (find_box(still[:cut], win[:cut])(still[cut:]) > 0.5) != win[cut:]
    head = Head(atoms, weights, box, None, None, reward_error, float(judged.float().mean()))
    return head if len(x) < ENOUGH else _with_networks(head, x, still, y, win, cut, seed)


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
    if success_error > WELL and bool(win.any()):
        trial = fit_residual(still[:cut], win[:cut].float(), seed, binary=True)
        wrong = float(((trial(still[cut:]) > 0) != win[cut:]).float().mean())
        if wrong < success_error:
            success_net, success_error = trial, wrong
    return Head(head.atoms, head.weights, head.box, residual, success_net, reward_error, success_error)
