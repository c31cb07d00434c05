"""Many reward heads in one program: part s of the rows is judged by its own head, whichever others there are."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from world_models.layout import Layout
from world_models.rewards.atoms import ABSOLUTE, Atoms, quantity_columns
from world_models.rewards.boxes import Box
from world_models.rewards.head import Head
from world_models.rewards.residual import ResidualNet, StackedNets


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
            [head.judge for head in heads],
        )


class Picked:
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
