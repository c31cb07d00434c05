"""Blocks of the network: inputs and outputs per object.

`dense` is one block that reads and moves everything. `objects` has one block per body: an object's block
reads that object, the hand's velocity and the action, and moves the object, its handle and (by contact)
the hand; contributions add up. The vector from the hand to a handle changes by what the handle moves minus
what the hand moves, so it stays consistent over a roll-out. Beyond `REACH` of its object a block fades out.
Sparse interaction of this kind is the idea of object-wise models (Battaglia et al. 2016, interaction
networks); here the hand is the only hub. `shared` has the same blocks, but one set of weights for all objects,
as there: only biases and gains are each object's own (see `ensemble.py`). `attention` has the blocks of `objects`,
which hear of each other (see `attend` in `ensemble.py`).
"""

from dataclasses import dataclass
from itertools import chain

import torch
from jaxtyping import Float, Int
from torch import Tensor

from world_models.errors import ModelError
from world_models.layout import Body, Layout

STRUCTURES = ("objects", "shared", "attention", "dense")

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
        sets: which set of weights each block has: its own, or one that it shares.
    """

    reads: Int[Tensor, "K I"]
    moves: Float[Tensor, "K Y O"]
    unit: Int[Tensor, "K Y"]
    sets: tuple[int, ...]


@dataclass(frozen=True)
class Features:
    """Where each kind of input begins.

    These are the observation, nearness, bent vectors, the same as they lie in the hand (where it turns), room to
    the limits, sines, cosines, the action, a zero and a one.
    """

    near: int
    bent: int
    held: int
    room: int
    sine: int
    cosine: int
    action: int
    zero: int

    @classmethod
    def of(cls, layout: Layout) -> "Features":
        """The order of inputs for a layout with n objects, L limited columns and some angles."""
        near, n, angles = layout.obs_size, len(layout.objects), len(layout.angles)
        held = near + 4 * n
        room = held + (3 * n if layout.axes else 0)
        sine = room + 2 * sum(layout.limited)
        action = sine + 2 * angles
        return cls(near, near + n, held, room, sine, sine + angles, action, action + layout.action_size)


def make_blocks(layout: Layout, structure: str) -> Blocks:
    """The wiring of that name.

    Raises:
        ModelError: an unknown structure, or one of objects for a layout that names no hand.
    """
    if structure not in STRUCTURES:
        raise ModelError(f"no model structure {structure!r}; there are {', '.join(STRUCTURES)}")
    if structure == "dense":
        size, every = layout.obs_size, range(Features.of(layout).zero)
        reads = torch.tensor([column for column in every if column not in layout.angles])[None]
        moves = torch.eye(size)
        moves[list(layout.constant)] = 0.0
        return Blocks(reads, moves[None], torch.arange(size)[None], (0,))
    if layout.hand is None or not layout.objects:
        raise ModelError(f"structure {structure} needs a layout with a hand and objects; use structure dense")
    hand = layout.hand
    objects = [_object_block(layout, hand, k) for k in range(len(layout.objects))]
    if structure == "shared":
        objects = _aligned(objects, Features.of(layout).zero)
    own = tuple(range(1, 1 + len(objects)))
    sets = (0, *(1 for _ in own)) if structure == "shared" else (0, *own)
    return _padded(layout, [(_touch(layout, hand), [_hand_outputs(layout, hand)]), *objects], sets)


_Outputs = list[list[tuple[int, float]]]
"""For each output the columns that it moves, first the one that sets its scale; none where it is unused."""

_Wired = tuple[list[list[int]], list[_Outputs]]
"""Feature columns read and outputs, kind by kind: objects that share weights agree in where a kind begins."""


def _hand_outputs(layout: Layout, hand: Body) -> _Outputs:
    outputs = []
    for axis, column in enumerate(hand.positions):
        outputs.append([(column, 1.0)] + [(body.vector[axis], -1.0) for body in layout.objects])
    return outputs + [[(column, 1.0)] for column in hand.velocities]


def _touch(layout: Layout, body: Body) -> list[list[int]]:
    """What any block of a body reads: its state, its room to the limits, the action, and what is constant."""
    at = Features.of(layout)
    order = [column for column, limited in enumerate(layout.limited) if limited]
    plain, turned = _seen(layout, body.positions)
    room = [at.room + 2 * order.index(c) + side for c in plain if c in order for side in (0, 1)]
    moving = [*chain.from_iterable(_seen(layout, body.velocities))]
    return [plain, turned, moving, room, [*range(at.action, at.zero)], [*layout.constant]]


def _seen(layout: Layout, columns: tuple[int, ...]) -> tuple[list[int], list[int]]:
    """What stands for columns: themselves, or sines and cosines where they are angles."""
    at = Features.of(layout)
    angles = [layout.angles.index(column) for column in columns if column in layout.angles]
    turned = [first + angle for angle in angles for first in (at.sine, at.cosine)]
    return [column for column in columns if column not in layout.angles], turned


def _object_block(layout: Layout, hand: Body, k: int) -> _Wired:
    at, body = Features.of(layout), layout.objects[k]
    bent = range(at.bent + 3 * k, at.bent + 3 * k + 3)
    held = range(at.held + 3 * k, at.held + 3 * k + 3) if layout.axes else ()
    moving = chain.from_iterable(_seen(layout, hand.velocities))
    reads = [*_touch(layout, body), [*body.vector, at.near + k, *bent, *moving, *held]]
    kinds = (body.positions, body.velocities, body.vector)
    outputs: list[_Outputs] = [[[(column, 1.0)] for column in columns] for columns in kinds]
    return reads, [*outputs, _hand_outputs(layout, hand)]


def _aligned(wired: list[_Wired], zero: int) -> list[_Wired]:
    """Every kind of input and output as long as the longest of the objects'."""
    wide = [max(map(len, kind)) for kind in zip(*(reads for reads, _ in wired), strict=True)]
    high = [max(map(len, kind)) for kind in zip(*(outputs for _, outputs in wired), strict=True)]
    return [
        (
            [part + [zero] * (n - len(part)) for part, n in zip(reads, wide, strict=True)],
            [part + [[]] * (n - len(part)) for part, n in zip(outputs, high, strict=True)],
        )
        for reads, outputs in wired
    ]


def _padded(layout: Layout, wired: list[_Wired], sets: tuple[int, ...]) -> Blocks:
    read = [[*chain.from_iterable(reads)] for reads, _ in wired]
    moved = [[*chain.from_iterable(outputs)] for _, outputs in wired]
    width, height = max(map(len, read)), max(map(len, moved))
    reads = torch.full((len(wired), width), Features.of(layout).zero)
    moves = torch.zeros(len(wired), height, layout.obs_size)
    unit = torch.zeros(len(wired), height, dtype=torch.long)
    for k, (columns, outputs) in enumerate(zip(read, moved, strict=True)):
        reads[k, : len(columns)] = torch.tensor(columns)
        for y, some in enumerate(outputs):
            for column, sign in some:
                moves[k, y, column] = sign
            if some:
                unit[k, y] = some[0][0]
    return Blocks(reads, moves, unit, sets)
