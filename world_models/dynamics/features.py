"""Input features of the blocks.

Everything is columns before rows: blocks then gather whole rows of memory, and no product needs a transposed
copy.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.dynamics.blocks import BENT, NEAR, REACH
from world_models.layout import Layout
from world_models.normalizer import Normalizer

FADE = 30.0
"""How fast (1/m) a block fades out beyond `REACH`."""

FAINT = 1e-4
"""Gates below it are shut in plans: far below the model's own error, and most blocks need not be computed then."""


@dataclass(frozen=True)
class Scales:
    """Everything is shift + stretch * obs: inputs, vectors in units of `BENT`, logarithms of room to a limit.

    A normaliser's scales, worked out once for many calls.
    """

    shift: Float[Tensor, "O 1"]
    stretch: Float[Tensor, "O 1"]
    probed: Tensor
    probe_shift: Float[Tensor, "V 1"]
    probe_stretch: Float[Tensor, "V 1"]
    constants: Float[Tensor, "2 1"]
    angles: Tensor

    @classmethod
    def of(cls, layout: Layout, normalizer: Normalizer) -> "Scales":
        """The scales as the normaliser stands now."""
        centre, scale, change = normalizer.centre, normalizer.scale, normalizer.change
        vectors, ends, angles = _columns(layout, scale.device)
        stiff = scale[ends] / change[ends]
        sides = torch.tensor([-1.0, 1.0], device=scale.device).repeat(len(ends) // 2)
        to_centre = -centre / scale
        bent = torch.full((len(vectors),), 1 / BENT, device=scale.device)
        return cls(
            shift=to_centre[:, None],
            stretch=(1 / scale)[:, None],
            probed=torch.cat([vectors, ends]),
            probe_shift=torch.cat([torch.zeros_like(bent), stiff * (sides * to_centre[ends] - 1)])[:, None],
            probe_stretch=torch.cat([bent, stiff * sides / scale[ends]])[:, None],
            constants=torch.tensor([[0.0], [1.0]], device=scale.device),
            angles=angles,
        )


def features(
    layout: Layout, scales: Scales, obs: Float[Tensor, "E O B"], action: Float[Tensor, "E A B"]
) -> tuple[Float[Tensor, "E F B"], Float[Tensor, "E n B"]]:
    """Inputs of the blocks, in the order of `blocks.Features`, and how much the block of each object counts."""
    scaled = torch.addcmul(scales.shift, obs, scales.stretch)
    constants = scales.constants.expand(obs.shape[0], -1, obs.shape[2])
    turned: list[Tensor] = []
    if len(scales.angles):
        angles = obs.index_select(1, scales.angles)
        turned = [angles.sin(), angles.cos()]
    if not len(scales.probed):
        return torch.cat([scaled, *turned, action, constants], dim=1), scaled[:, :0]
    probes = torch.addcmul(scales.probe_shift, obs.index_select(1, scales.probed), scales.probe_stretch)
    vectors, room = probes.split([3 * len(layout.objects), 2 * sum(layout.limited)], dim=1)
    distance = vectors.square().unflatten(1, (-1, 3)).sum(dim=2).clamp(min=1e-12).sqrt()
    near, bent = torch.exp(distance * (-BENT / NEAR)), torch.tanh(vectors)
    local = torch.sigmoid(torch.rsub(distance, FADE * REACH, alpha=FADE * BENT))
    held = [torch.tanh(_in_hand(layout, obs, vectors))] if layout.axes else []
    return torch.cat([scaled, near, bent, *held, room.exp(), *turned, action, constants], dim=1), local


def _in_hand(
    layout: Layout, obs: Float[Tensor, "E O B"], vectors: Float[Tensor, "E v B"]
) -> Float[Tensor, "E v B"]:
    """The vectors along the hand's own axes instead of the room's."""
    axes = obs[:, list(layout.axes)].unflatten(1, (1, 3, 3))
    return (axes * vectors.unflatten(1, (-1, 1, 3))).sum(dim=3).flatten(1, 2)


@lru_cache(maxsize=8)
def _columns(layout: Layout, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """The vectors' columns, the limited ones twice (for the lower and the upper end), and the angles'."""
    vectors = [column for body in layout.objects for column in body.vector]
    ends = [column for column, limited in enumerate(layout.limited) if limited for _ in range(2)]
    parts = (vectors, ends, layout.angles)
    return tuple(torch.tensor(part, dtype=torch.long, device=device) for part in parts)  # type: ignore[return-value]
