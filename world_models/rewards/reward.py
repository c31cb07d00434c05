"""Reward heads: for each task a small, detachable model of its reward and of its success.

A head is fitted on labelled transitions alone: on the relabelled pool, or on a few labels of a new task. Its
reward is a handful of atoms (see `atoms`) and, where these leave something unexplained and there are labels
enough, a residual network. Its success is a box, or a network where no box separates the labels.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from world_models.errors import ModelError
from world_models.layout import Layout
from world_models.rewards.atoms import ABSOLUTE, dictionary, quantities, quantity_names
from world_models.rewards.boxes import find_box
from world_models.rewards.head import Head
from world_models.rewards.head_stack import HeadStack, Picked
from world_models.rewards.pursuit import pursue
from world_models.rewards.residual import fit_residual

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
            self._stacked = heads, HeadStack.of(self.layout, heads)
        return Picked(self._stacked[1], rows, tasks)

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
