"""Reward heads: for each task a small, detachable model of its reward and of its success.

A head is fitted on labelled transitions alone: on the relabelled pool, or on a few labels of a new task. Its
reward is a handful of atoms (see `atoms`) and, where these leave something unexplained and there are labels
enough, a residual network. Its success is a box, or a network where no box separates the labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from world_models.atoms import ABSOLUTE, Atoms, dictionary, quantities, quantity_names
from world_models.boxes import Box, find_box
from world_models.errors import ModelError
from world_models.head_stack import HeadStack, Picked
from world_models.layout import Layout
from world_models.pursuit import pursue
from world_models.residual import ResidualNet, fit_residual

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


@dataclass(frozen=True, eq=False)
class Head:
    """One task's reward and success.

    Attributes:
        unexplained: share of the variance of held-out reward labels that the head gets wrong.
        misjudged: share of held-out states whose success the head gets wrong.
    """

    atoms: Atoms
    weights: Float[Tensor, " M"]
    box: Box
    residual: ResidualNet | None
    judge: ResidualNet | None
    unexplained: float
    misjudged: float

    def reward(self, x: Float[Tensor, "*b Q"]) -> Float[Tensor, "*b"]:
        """Reward of transitions given by their quantities."""
        total = self.atoms(x) @ self.weights[:-1] + self.weights[-1]
        return total if self.residual is None else total + self.residual(x)

    def success(self, x: Float[Tensor, "*b Q"]) -> Float[Tensor, "*b"]:
        """Probability of success of states given by their quantities."""
        return self.box(x) if self.judge is None else torch.sigmoid(self.judge(x))

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
            judge=moved(self.judge),
        )

    def describe(self, layout: Layout) -> list[str]:
        """The atoms in words, the constant last."""
        names, kinds = quantity_names(layout), ("|x - t|", "[|x - t| < w]", "exp(-|x - t| / w)")
        columns = (self.atoms.quantity, self.atoms.kind, self.atoms.at, self.atoms.width, self.weights[:-1])
        rows = zip(*(column.tolist() for column in columns), strict=True)
        lines = [f"{w:+.2f} {kinds[k]} of {names[q]}, t={t:.3g} w={r:.3g}" for q, k, t, r, w in rows]
        return [*lines, f"{float(self.weights[-1]):+.2f}"]


class RewardHeads:
    """Heads by task name. Adding one touches neither the dynamics nor any other head."""

    def __init__(self, layout: Layout, heads: Mapping[str, Head] | None = None) -> None:
        self.layout = layout
        self.heads = dict(heads or {})
        self._stacked: tuple[tuple[Head, ...], HeadStack] | None = None

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

    def pairs(self, rows: Int[Tensor, " S"], tasks: Int[Tensor, " S"]) -> Picked:
        """Head number `tasks[s]` for episode `rows[s]`: all in one program."""
        heads = tuple(self.heads.values())
        if self._stacked is None or self._stacked[0] != heads:
            self._stacked = heads, _stack(self.layout, heads)
        return self._stacked[1].picked(rows, tasks)

    def select(self, names: list[str]) -> "RewardHeads":
        """The heads of these tasks, in this order.

        Raises:
            ModelError: there is no head of that name.
        """
        missing = [name for name in names if name not in self.heads]
        if missing:
            raise ModelError(f"no reward head for {missing[0]!r}; fit one from labels first")
        return RewardHeads(self.layout, {name: self.heads[name] for name in names})


def _stack(layout: Layout, heads: Sequence[Head]) -> HeadStack:
    most = max(1, *(len(head.atoms.at) for head in heads))

    def filled(part: str, value: int | float) -> Tensor:
        rows = [getattr(head.atoms, part) for head in heads]
        return torch.stack([nn.functional.pad(row, (0, most - len(row)), value=value) for row in rows])

    atoms = Atoms(filled("quantity", 0), filled("kind", ABSOLUTE), filled("at", 0.0), filled("width", 1.0))
    weights = [nn.functional.pad(head.weights[:-1], (0, most + 1 - len(head.weights))) for head in heads]
    parts = ([getattr(head.box, part) for head in heads] for part in ("quantity", "low", "high"))
    return HeadStack(
        layout,
        atoms,
        torch.stack(weights),
        torch.stack([head.weights[-1] for head in heads]),
        Box(*map(torch.stack, parts)),
        [head.residual for head in heads],
        [head.judge for head in heads],
    )


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
    atoms, weights, unexplained = pursue(vocabulary, x, y, prior=prior)
    cut = len(x) - max(1, len(x) // 5)
    judged = (find_box(still[:cut], win[:cut])(still[cut:]) > 0.5) != win[cut:]
    head = Head(atoms, weights, box, None, None, unexplained, float(judged.float().mean()))
    return head if len(x) < ENOUGH else _with_networks(head, x, still, y, win, cut, seed)


def _hand_columns(layout: Layout) -> set[str]:
    return {layout.columns[i] for i in layout.hand.positions} if layout.hand else set()


def _with_networks(head: Head, x: Tensor, still: Tensor, y: Tensor, win: Tensor, cut: int, seed: int) -> Head:
    """Networks are kept where they do better on held-out labels."""
    residual, judge, unexplained, misjudged = None, None, head.unexplained, head.misjudged
    if unexplained > WELL:
        left = y - head.reward(x)
        trial = fit_residual(x[:cut], left[:cut], seed)
        error = float((left[cut:] - trial(x[cut:])).square().mean() / y.var().clamp(min=1e-12))
        if error < 0.9 * unexplained:
            residual, unexplained = trial, error
    if misjudged > WELL and bool(win.any()):
        trial = fit_residual(still[:cut], win[:cut].float(), seed, binary=True)
        wrong = float(((trial(still[cut:]) > 0) != win[cut:]).float().mean())
        if wrong < misjudged:
            judge, misjudged = trial, wrong
    return Head(head.atoms, head.weights, head.box, residual, judge, unexplained, misjudged)
