"""Ensemble dynamics: stacked weights, one batched product per layer.

Chua et al. (2018), PETS, section 4: an ensemble for what is not known, Gaussian heads for what is noisy.
It predicts the normalised change of the observation and never sees a task. Objects that share weights are told
apart by biases of their own, and a gain of their own for each number that a layer reads (feature-wise modulation:
Perez et al. 2018, FiLM): the same law in other units, axes and with another lever.

Attention between blocks: scaled dot-product attention (Vaswani et al. 2017) over the objects of one member, as in
relational agents (Zambaldi et al. 2019).
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, NamedTuple

import torch
from annotated_types import Ge, Le
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from world_models.dynamics.blocks import make_blocks
from world_models.dynamics.features import Scales, features
from world_models.errors import ModelError
from world_models.layout import Layout
from world_models.normalizer import Normalizer

WIDTH = 8
"""Numbers in a query, a key and a value."""


class Attention(nn.Module):
    """The weights of E members: one head each, the same for all of a member's blocks.

    Args:
        members: E.
        hidden: h, the width of what the blocks have found out.
        generator: source of the initial weights.
    """

    def __init__(self, members: int, hidden: int, generator: torch.Generator | None = None) -> None:
        super().__init__()
        ask = torch.randn(members, 3 * WIDTH, hidden, generator=generator) / hidden**0.5
        answer = torch.randn(members, hidden, WIDTH, generator=generator) / WIDTH**0.5
        self.ask, self.answer = nn.Parameter(ask), nn.Parameter(0.1 * answer)

    def forward(self, x: Float[Tensor, "EK h R"]) -> Float[Tensor, "EK h R"]:
        """See `attend`."""
        return attend(x, self.ask, self.answer)


def attend(
    x: Float[Tensor, "EK h R"], ask: Float[Tensor, "E d3 h"], answer: Float[Tensor, "E h d"]
) -> Float[Tensor, "EK h R"]:
    """Add to each block's hidden units what it asks of the other blocks of its member, for each row apart.

    `ask` makes a query, a key and a value of each block; `answer` turns the values heard into hidden units.
    """
    blocks = len(x) // len(ask)
    asked = torch.bmm(repeat(ask, "e q h -> (e k) q h", k=blocks), x)
    asked = rearrange(asked, "(e k) q r -> e k q r", k=blocks)
    query, key, value = asked.chunk(3, dim=2)
    # Products of a few numbers each: written out, they need no copies with the rows in front.
    match = (query[:, :, None] * key[:, None]).sum(dim=3) / query.shape[2] ** 0.5
    heard = (match.softmax(dim=2)[:, :, :, None] * value[:, None]).sum(dim=2)
    heard = rearrange(heard, "e k d r -> (e k) d r").to(asked.dtype)
    return torch.baddbmm(x, repeat(answer, "e h d -> (e k) h d", k=blocks), heard)


@dataclass(frozen=True)
class EnsembleConfig:
    """Shape of the ensemble."""

    members: Annotated[int, Ge(1), Le(1000)] = 5
    """Networks in the ensemble."""
    structure: str = "objects"
    """One block per body (`objects`), the same with weights shared by objects (`shared`) or with attention between
    them (`attention`), or one block for all (`dense`)."""
    hidden: Annotated[int, Ge(1), Le(16384)] = 64
    """Width of each block's hidden layers."""
    layers: Annotated[int, Ge(1), Le(64)] = 2
    """Hidden layers of each block."""
    head: str = "deterministic"
    """Predict a mean (`deterministic`), or a mean and a variance (`gaussian`)."""


class Gaussian(NamedTuple):
    """A normal distribution of the normalised change; a deterministic head has log-variance zero."""

    mean: Float[Tensor, "E B O"]
    logvar: Float[Tensor, "E B O"]


class EnsembleDynamics(nn.Module):
    """E networks of K blocks each.

    Weights are stacked along one axis of E times the sets of weights, biases (and gains, where any blocks share a
    set) of E * K.

    Args:
        layout: the observation's columns and bodies.
        config: the shape of the networks.
        generator: source of the initial weights.

    Raises:
        ModelError: a setting that no ensemble can have.
    """

    reads: Tensor
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
        for name, value in (("reads", blocks.reads), ("_moves", blocks.moves), ("unit", blocks.unit)):
            self.register_buffer(name, value, persistent=False)
        self.register_buffer("elites", torch.arange(config.members))
        self.blocks, self.outputs = blocks.unit.shape
        out = self.outputs * (2 if config.head == "gaussian" else 1)
        sizes = [blocks.reads.shape[1], *[config.hidden] * config.layers, out]
        self._sets, own = blocks.sets, max(blocks.sets) + 1
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        self.gains = nn.ParameterList()
        for i, (n, m) in enumerate(pairwise(sizes)):
            last = i == config.layers
            weight = torch.randn(config.members * own, m, n, generator=generator) / n**0.5
            self.weights.append(nn.Parameter(0.1 * weight if last else weight))
            self.biases.append(nn.Parameter(torch.zeros(config.members * self.blocks, m, 1)))
            if own < self.blocks:
                self.gains.append(nn.Parameter(torch.ones(config.members * self.blocks, 1, n)))
        self.attention = None
        if config.structure == "attention":
            self.attention = Attention(config.members, config.hidden, generator)

    def forward(
        self, obs: Float[Tensor, "E B O"], action: Float[Tensor, "E B A"], apart: bool = False
    ) -> Gaussian:
        """Distribution of the normalised change; row e goes through member e.

        With `apart`, gradients of the variance reach the last layer alone: the layers below serve the mean.
        """
        features, gate = self.features(rearrange(obs, "e b o -> e o b"), rearrange(action, "e b a -> e a b"))
        read = features.index_select(1, self.reads.flatten())
        raw = run_blocks(read, *self.stacked(), self.outputs if apart else None, self.attention)
        raw = rearrange(raw, "(e k) y b -> e k y b", e=obs.shape[0])
        moves = self.moves / self.normalizer.change
        moved = rearrange(raw[:, :, : self.outputs] * gate, "e k y b -> e (k y) b")
        mean = rearrange(moves.T @ moved, "e o b -> e b o").contiguous()
        if self.config.head == "deterministic":
            return Gaussian(mean, torch.zeros_like(mean))
        variance = rearrange(bounded(raw[:, :, self.outputs :]).exp(), "e k y b -> e b (k y)")
        return Gaussian(mean, (variance @ moves.square()).clamp(min=1e-8).log())

    def stacked(self) -> tuple[list[Tensor], list[Tensor]]:
        """Weights [EK m n] and biases [EK m 1] of each layer, block by block; shared ones times each block's gains."""
        weights, own = list(self.weights), max(self._sets) + 1
        if own < self.blocks:
            sets = torch.tensor(self._sets, device=self.unit.device)
            members = own * torch.arange(self.config.members, device=sets.device)
            rows = (members[:, None] + sets).flatten()
            weights = [w.index_select(0, rows) * gain for w, gain in zip(weights, self.gains, strict=True)]
        return weights, list(self.biases)

    @property
    def moves(self) -> Float[Tensor, "KY O"]:
        """How far one unit of each output moves each column, in the column's own unit."""
        return rearrange(self._moves * self.normalizer.change[self.unit][..., None], "k y o -> (k y) o")

    def features(
        self, obs: Float[Tensor, "E O B"], action: Float[Tensor, "E A B"]
    ) -> tuple[Float[Tensor, "E F B"], Float[Tensor, "E K 1 B"]]:
        """Inputs of the blocks and how much each block counts; columns before rows."""
        scales = Scales.of(self.layout, self.normalizer)
        inputs, local = features(self.layout, scales, obs, action)
        always = inputs.new_ones(obs.shape[0], 1, obs.shape[2])
        return inputs, (always if self.blocks == 1 else torch.cat([always, local], dim=1))[:, :, None]


def run_blocks(
    inputs: Float[Tensor, "E KI B"],
    weights: list[Tensor],
    biases: list[Tensor],
    apart: int | None = None,
    attention: Attention | None = None,
) -> Float[Tensor, "EK Y B"]:
    """Every block of every member: one batched product per layer, with attention after the first if there is any.

    Gradients of the outputs from `apart` on end at the last layer.
    """
    x = inputs.reshape(weights[0].shape[0], weights[0].shape[2], inputs.shape[-1])
    for i, (weight, bias) in enumerate(zip(weights[:-1], biases[:-1], strict=True)):
        x = torch.relu_(torch.baddbmm(bias, weight, x))
        if attention is not None and i == 0:
            x = attention(x)
    weight, bias = weights[-1], biases[-1]
    if apart is None or apart == weight.shape[1]:
        return torch.baddbmm(bias, weight, x)
    first = torch.baddbmm(bias[:, :apart], weight[:, :apart], x)
    return torch.cat([first, torch.baddbmm(bias[:, apart:], weight[:, apart:], x.detach())], dim=1)


def bounded(logvar: Tensor, low: float = -10.0, high: float = 2.0) -> Tensor:
    """Softly between two bounds, as in PETS appendix A.1 (there learned)."""
    logvar = high - nn.functional.softplus(high - logvar)
    return low + nn.functional.softplus(logvar - low)
