"""The shared dynamics: an ensemble of networks as stacked weights, one batched product per layer.

Chua et al. (2018), PETS, section 4: an ensemble for what is not known, Gaussian heads for what is noisy.
It predicts the normalised change of the observation and never sees a task.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from world_models.blocks import BENT, NEAR, REACH, make_blocks
from world_models.errors import ModelError
from world_models.layout import Layout
from world_models.normalizer import Normalizer


@dataclass(frozen=True)
class EnsembleConfig:
    """Shape of the ensemble."""

    members: int = 5
    """Networks in the ensemble."""
    structure: str = "objects"
    """One block per body (`objects`), or one block for all (`dense`)."""
    hidden: int = 64
    """Width of each block's hidden layers."""
    layers: int = 2
    """Hidden layers of each block."""
    head: str = "deterministic"
    """Predict a mean (`deterministic`), or a mean and a variance (`gaussian`)."""


class Gaussian(NamedTuple):
    """A normal distribution of the normalised change; a deterministic head has log-variance zero."""

    mean: Float[Tensor, "E B O"]
    logvar: Float[Tensor, "E B O"]


@dataclass(frozen=True)
class Scales:
    """Observations become inputs as shift + stretch * obs, room to the limits as exp(shift + stretch * input)."""

    shift: Float[Tensor, "O 1"]
    stretch: Float[Tensor, "O 1"]
    room_shift: Float[Tensor, "L2 1"]
    room_stretch: Float[Tensor, "L2 1"]


class EnsembleDynamics(nn.Module):
    """E networks of K blocks each; weights are stacked along one axis of E * K.

    Args:
        layout: the observation's columns and bodies.
        config: the shape of the networks.
        generator: source of the initial weights.

    Raises:
        ModelError: a setting that no ensemble can have.
    """

    _reads: Tensor
    _moves: Tensor
    unit: Tensor
    elites: Tensor

    def __init__(
        self, layout: Layout, config: EnsembleConfig, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        if min(config.members, config.hidden, config.layers) < 1:
            raise ModelError(f"an ensemble needs at least one member, unit and layer, not {config}")
        if config.head not in ("deterministic", "gaussian"):
            raise ModelError(f"no head {config.head!r}; there are deterministic, gaussian")
        self.layout, self.config = layout, config
        self.normalizer = Normalizer(layout)
        blocks = make_blocks(layout, config.structure)
        for name, value in (("_reads", blocks.reads), ("_moves", blocks.moves), ("unit", blocks.unit)):
            self.register_buffer(name, value, persistent=False)
        self.register_buffer("elites", torch.arange(config.members))
        self.blocks, self.outputs = blocks.unit.shape
        out = self.outputs * (2 if config.head == "gaussian" else 1)
        sizes = [blocks.reads.shape[1], *[config.hidden] * config.layers, out]
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for i, (n, m) in enumerate(pairwise(sizes)):
            last = i == config.layers
            weight = torch.randn(config.members * self.blocks, m, n, generator=generator) / n**0.5
            self.weights.append(nn.Parameter(0.1 * weight if last else weight))
            self.biases.append(nn.Parameter(torch.zeros(config.members * self.blocks, m, 1)))

    def forward(self, obs: Float[Tensor, "E B O"], action: Float[Tensor, "E B A"]) -> Gaussian:
        """Distribution of the normalised change; row e goes through member e."""
        features, gate = self.features(obs.transpose(1, 2), action.transpose(1, 2))
        read = features.index_select(1, self._reads.flatten())
        raw = run_blocks(read, list(self.weights), list(self.biases))
        raw = raw.unflatten(0, (obs.shape[0], self.blocks))
        moves = self.moves / self.normalizer.change
        mean = (moves.T @ (raw[:, :, : self.outputs] * gate).flatten(1, 2)).transpose(1, 2).contiguous()
        if self.config.head == "deterministic":
            return Gaussian(mean, torch.zeros_like(mean))
        variance = _bounded(raw[:, :, self.outputs :]).exp().flatten(1, 2).transpose(1, 2)
        return Gaussian(mean, (variance @ moves.square()).clamp(min=1e-8).log())

    @property
    def moves(self) -> Float[Tensor, "KY O"]:
        """How far one unit of each output moves each column, in the column's own unit."""
        return (self._moves * self.normalizer.change[self.unit][..., None]).flatten(0, 1)

    def features(
        self,
        obs: Float[Tensor, "E O B"],
        action: Float[Tensor, "E A B"],
        scales: "Scales | None" = None,
    ) -> tuple[Float[Tensor, "E F B"], Float[Tensor, "E K 1 B"]]:
        """Inputs of the blocks (see `Features`) and how much each block counts; columns before rows.

        Rows come last so that blocks gather whole rows of memory and no product needs a transposed copy.
        Give `scales` where the same ones serve many calls.
        """
        scales = scales or self.scales()
        scaled = torch.addcmul(scales.shift, obs, scales.stretch)
        vectors = obs.index_select(1, self._vectors)
        distance = vectors.square().unflatten(1, (-1, 3)).sum(dim=2).clamp(min=1e-12).sqrt()
        near, bent = torch.exp(distance * (-1 / NEAR)), torch.tanh(vectors * (1 / BENT))
        room = torch.addcmul(scales.room_shift, scaled.index_select(1, self._ends), scales.room_stretch).exp()
        inputs = torch.cat([scaled, near, bent, room, action, torch.zeros_like(action[:, :1])], dim=1)
        if self.blocks == 1:
            return inputs, torch.ones_like(inputs[:, :1, None])
        local = torch.sigmoid(30.0 * REACH - 30.0 * distance)
        return inputs, torch.cat([torch.ones_like(local[:, :1]), local], dim=1)[:, :, None]

    def scales(self) -> "Scales":
        """What `features` stretches and shifts by, as the normaliser stands now."""
        scale = self.normalizer.scale
        stiff = (scale / self.normalizer.change)[self._ends, None]
        sides = torch.tensor([-1.0, 1.0], device=scale.device).repeat(len(stiff) // 2)[:, None]
        return Scales((-self.normalizer.centre / scale)[:, None], 1 / scale[:, None], -stiff, sides * stiff)

    @cached_property
    def _ends(self) -> Tensor:
        """The limited columns, each twice: for its lower and its upper end."""
        limited = torch.tensor(self.layout.limited, device=self._reads.device).nonzero()[:, 0]
        return limited.repeat_interleave(2)

    @cached_property
    def _vectors(self) -> Tensor:
        columns = [column for body in self.layout.objects for column in body.vector]
        return torch.tensor(columns, dtype=torch.long, device=self._reads.device)


def run_blocks(
    inputs: Float[Tensor, "E KI B"], weights: list[Tensor], biases: list[Tensor]
) -> Float[Tensor, "EK Y B"]:
    """Every block of every member: one batched product per layer."""
    x = inputs.reshape(weights[0].shape[0], weights[0].shape[2], inputs.shape[-1])
    for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        x = torch.baddbmm(bias, weight, x)
        if i < len(weights) - 1:
            x = torch.relu_(x)
    return x


def _bounded(logvar: Tensor, low: float = -10.0, high: float = 2.0) -> Tensor:
    """Softly between two bounds, as in PETS appendix A.1 (there learned)."""
    logvar = high - nn.functional.softplus(high - logvar)
    return low + nn.functional.softplus(logvar - low)
