"""How the network is cut into blocks: what each block reads, and which columns its outputs move.

`dense` is one block that reads and moves everything. `objects` has one block per body: an object's block
reads that object, the hand's velocity and the action, and moves the object, its handle and (by contact)
the hand; contributions add up. The vector from the hand to a handle changes by what the handle moves minus
what the hand moves, so it stays consistent over a roll-out. Beyond `REACH` of its object a block fades out.
Sparse interaction of this kind is the idea of object-wise models (Battaglia et al. 2016, interaction
networks); here the hand is the only hub.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from world_models.errors import ModelError
from world_models.layout import Body, Layout

NEAR = 0.06
"""Length (m) over which the proximity feature exp(-d / NEAR) falls."""

BENT = 0.08
"""Length (m) beyond which tanh(vector / BENT) saturates."""

REACH = 0.3
"""Distance (m) from its handle beyond which an object does not feel the hand."""


@dataclass(frozen=True)
class Blocks:
    """Wiring of K blocks with I inputs and Y outputs each: one for all, or the hand's and one per object.

    Attributes:
        reads: feature columns that each block reads; the last feature is always zero and pads.
        moves: share of each output in each observation column, in units of the output's scale.
        unit: observation column whose change sets the scale of each output.
    """

    reads: Int[Tensor, "K I"]
    moves: Float[Tensor, "K Y O"]
    unit: Int[Tensor, "K Y"]


@dataclass(frozen=True)
class Features:
    """Where each kind of input begins: observation, nearness, bent vectors, room to the limits, action, zero, one."""

    near: int
    bent: int
    room: int
    action: int
    zero: int

    @classmethod
    def of(cls, layout: Layout) -> "Features":
        """The order of inputs for a layout with n objects and L limited columns."""
        near, n = layout.obs_size, len(layout.objects)
        action = near + 4 * n + 2 * sum(layout.limited)
        return cls(near, near + n, near + 4 * n, action, action + layout.action_size)


def make_blocks(layout: Layout, structure: str) -> Blocks:
    """The wiring of that name.

    Raises:
        ModelError: an unknown structure, or `objects` for a layout that names no hand.
    """
    if structure == "dense":
        size = layout.obs_size
        reads = torch.arange(Features.of(layout).zero)[None]
        return Blocks(reads, torch.eye(size)[None], torch.arange(size)[None])
    if structure != "objects":
        raise ModelError(f"no model structure {structure!r}; there are objects, dense")
    if layout.hand is None or not layout.objects:
        raise ModelError("structure objects needs a layout with a hand and objects; use structure dense")
    wired = [_hand_block(layout, layout.hand)]
    wired += [_object_block(layout, layout.hand, k) for k in range(len(layout.objects))]
    return _padded(layout, wired)


_Wired = tuple[list[int], list[list[tuple[int, float]]]]
"""Feature columns read; for each output the columns it moves, first the one that sets its scale."""


def _hand_outputs(layout: Layout, hand: Body) -> list[list[tuple[int, float]]]:
    outputs = []
    for axis, column in enumerate(hand.positions):
        outputs.append([(column, 1.0)] + [(body.vector[axis], -1.0) for body in layout.objects])
    return outputs + [[(column, 1.0)] for column in hand.velocities]


def _touch(layout: Layout, body: Body) -> list[int]:
    """What any block of a body reads: its state, its room to the limits, the hand's velocity, the action."""
    at = Features.of(layout)
    order = [column for column, limited in enumerate(layout.limited) if limited]
    room = [at.room + 2 * order.index(column) + side for column in body.positions for side in (0, 1)]
    return [*body.positions, *body.velocities, *room, *range(at.action, at.zero)]


def _hand_block(layout: Layout, hand: Body) -> _Wired:
    return _touch(layout, hand), _hand_outputs(layout, hand)


def _object_block(layout: Layout, hand: Body, k: int) -> _Wired:
    at, body = Features.of(layout), layout.objects[k]
    bent = range(at.bent + 3 * k, at.bent + 3 * k + 3)
    reads = [*_touch(layout, body), *body.vector, at.near + k, *bent, *hand.velocities]
    outputs = [[(column, 1.0)] for column in (*body.positions, *body.velocities, *body.vector)]
    return reads, outputs + _hand_outputs(layout, hand)


def _padded(layout: Layout, wired: list[_Wired]) -> Blocks:
    width = max(len(reads) for reads, _ in wired)
    height = max(len(outputs) for _, outputs in wired)
    reads = torch.full((len(wired), width), Features.of(layout).zero)
    moves = torch.zeros(len(wired), height, layout.obs_size)
    unit = torch.zeros(len(wired), height, dtype=torch.long)
    for k, (columns, outputs) in enumerate(wired):
        reads[k, : len(columns)] = torch.tensor(columns)
        for y, moved in enumerate(outputs):
            unit[k, y] = moved[0][0]
            for column, sign in moved:
                moves[k, y, column] = sign
    return Blocks(reads, moves, unit)
