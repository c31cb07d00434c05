"""Many reward heads as one program."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from world_models.layout import Layout
from world_models.rewards.basis import BUMP, Atoms
from world_models.rewards.boxes import Box
from world_models.rewards.head import Head
from world_models.rewards.quantities import Quantities
from world_models.rewards.residual import ResidualNet, StackedNets


@dataclass(frozen=True)
class HeadStack:
    """K heads as one set of tensors; heads of fewer terms are filled up with terms of weight zero.

    Attributes:
        heads: K, all of them readers of the same quantities.
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

    heads: Sequence[Head]
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
        places = tuple(dict.fromkeys(place for head in heads for place in head.places))
        quantities = Quantities.of(layout, heads[0].weights.device, places)
        heads = [head.reading(places, quantities) for head in heads]
        atoms = {
            part: _stacked([getattr(h.atoms, part) for h in heads], fill) for part, fill in _NO_ATOM.items()
        }
        boxes = {
            part: _stacked([getattr(h.boxes, part) for h in heads], fill) for part, fill in _NO_BOX.items()
        }
        weights = _stacked([head.weights[:-1] for head in heads], 0.0)
        return cls(
            heads,
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
