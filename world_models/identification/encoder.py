"""Online system identification: hidden parameters of the dynamics from the last transitions of an episode.

Yu, Tan, Liu and Turk (2017), "Preparing for the unknown: learning a universal policy with online system
identification" (UP-OSI): a network is trained on simulated episodes, of which the parameters are known, to tell them
from recent states and actions. Here it takes a set of transitions of any size in any order, as the embeddings e of
single transitions are averaged (Zaheer et al. 2017, "Deep sets"), and it says how sure it is:

    p(parameters | n transitions) = N(mean, deviation^2),  (mean, deviation) = h(mean of e(s, a, s' - s), log n)
"""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge
from jaxtyping import Float
from torch import Tensor, nn

from world_models.errors import ModelError

NARROWEST, WIDEST = 1e-3, 3.0
"""Bounds of a deviation, as a share of the spread of the parameters."""


@dataclass(frozen=True)
class EncoderConfig:
    """Shape of the encoder."""

    hidden: Annotated[int, Ge(1)] = 128
    """Width of the hidden layers."""
    embedding: Annotated[int, Ge(1)] = 64
    """Numbers in the embedding of a transition."""


@dataclass(frozen=True, eq=False)
class Belief:
    """What is believed of the K parameters of B episodes: independent normal distributions."""

    mean: Float[Tensor, "B K"]
    deviation: Float[Tensor, "B K"]


class ParameterEncoder(nn.Module):
    """Believes in hidden parameters after some transitions.

    Args:
        obs_size: O, columns of observations, without the parameters.
        action_size: A.
        parameters: K.
        config: the shape of its networks.
        seed: of the initial weights.

    Raises:
        ModelError: a size below 1.
    """

    centre: Tensor
    scale: Tensor
    middle: Tensor
    spread: Tensor

    def __init__(
        self,
        obs_size: int,
        action_size: int,
        parameters: int,
        config: EncoderConfig | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.config = config or EncoderConfig()
        sizes = obs_size, action_size, parameters, self.config.hidden, self.config.embedding
        if min(sizes) < 1:
            raise ModelError(f"an encoder needs sizes of at least 1, not {sizes}")
        inputs, hidden = 2 * obs_size + action_size, self.config.hidden
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.transition = nn.Sequential(
                nn.Linear(inputs, hidden), nn.SiLU(),
                nn.Linear(hidden, hidden), nn.SiLU(),
                nn.Linear(hidden, self.config.embedding),
            )  # fmt: skip
            self.head = nn.Sequential(
                nn.Linear(self.config.embedding + 1, hidden), nn.SiLU(),
                nn.Linear(hidden, hidden), nn.SiLU(),
                nn.Linear(hidden, 2 * parameters),
            )  # fmt: skip
        self.register_buffer("centre", torch.zeros(inputs))
        self.register_buffer("scale", torch.ones(inputs))
        self.register_buffer("middle", torch.zeros(parameters))
        self.register_buffer("spread", torch.ones(parameters))

    @torch.no_grad()
    def fit_scales(
        self,
        obs: Float[Tensor, "N O"],
        actions: Float[Tensor, "N A"],
        next_obs: Float[Tensor, "N O"],
        parameters: Float[Tensor, "M K"],
    ) -> None:
        """Learn the scales of inputs from transitions, and those of the parameters."""
        inputs = torch.cat([obs, actions, next_obs - obs], dim=-1)
        self.centre.copy_(inputs.mean(dim=0))
        spread = inputs.std(dim=0)
        self.scale.copy_(torch.where(spread > 1e-6, spread, 1.0))
        self.middle.copy_(parameters.mean(dim=0))
        self.spread.copy_(parameters.std(dim=0).clamp(min=1e-6))

    def embed(
        self, obs: Float[Tensor, "*b O"], actions: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b O"]
    ) -> Float[Tensor, "*b D"]:
        """The embedding of each transition."""
        inputs = torch.cat([obs, actions, next_obs - obs], dim=-1)
        embedded: Tensor = self.transition(((inputs - self.centre) / self.scale).clamp(-10.0, 10.0))
        return embedded

    def believe(self, embedded: Float[Tensor, "B n D"]) -> Belief:
        """What n transitions of each episode tell, whatever their order.

        Raises:
            ModelError: no transitions.
        """
        if not embedded.shape[1]:
            raise ModelError("parameters cannot be identified from no transitions")
        count = embedded.new_full((len(embedded), 1), math.log(embedded.shape[1]))
        mean, width = self.head(torch.cat([embedded.mean(dim=1), count], dim=-1)).chunk(2, dim=-1)
        low, high = math.log(NARROWEST), math.log(WIDEST)
        deviation = (low + (high - low) * torch.sigmoid(width)).exp()
        return Belief(self.middle + self.spread * mean, self.spread * deviation)
