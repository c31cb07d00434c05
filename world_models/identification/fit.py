"""Training of a parameter encoder on episodes whose parameters are known, and how well it identifies them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.errors import ModelError
from world_models.identification.encoder import Belief, EncoderConfig, ParameterEncoder


@dataclass(frozen=True, eq=False)
class KnownEpisode:
    """T control steps, and the hidden parameters under which they were taken.

    Attributes:
        obs: [T+1, O], without the parameters.
        actions: [T, A].
        parameters: [K].
    """

    obs: Tensor
    actions: Tensor
    parameters: Tensor

    def __len__(self) -> int:
        """T."""
        return len(self.actions)


@dataclass(frozen=True)
class IdentificationConfig:
    """How an encoder is trained."""

    updates: int = 3000
    """Updates of the weights."""
    batch: int = 64
    """Windows in each update."""
    window: int = 64
    """Most transitions of a window, L; each update draws a length up to it, short and long ones as often. Most episodes
    should be as long: the few that are would be learned by heart."""
    learning_rate: float = 5e-3
    """Rate of Adam, which falls to zero along a cosine."""
    weight_decay: float = 1e-4
    """Share by which weights shrink in one step, per unit of learning rate."""


def fit_encoder(
    episodes: Sequence[KnownEpisode],
    config: IdentificationConfig | None = None,
    shape: EncoderConfig | None = None,
    seed: int = 0,
) -> ParameterEncoder:
    """An encoder by maximum likelihood of the true parameters, given windows of their episodes.

    Raises:
        ModelError: no episodes, episodes of different sizes, or a setting that makes no sense.
    """
    config = config or IdentificationConfig()
    if min(config.updates, config.batch, config.window) < 1 or not config.learning_rate > 0:
        raise ModelError(f"an encoder cannot be trained so: {config}")
    sizes = {(one.obs.shape[1], one.actions.shape[1], len(one.parameters)) for one in episodes}
    if len(sizes) != 1:
        raise ModelError(f"an encoder needs episodes of one kind, not of sizes {sorted(sizes)}")
    windows = _Windows(episodes, torch.Generator().manual_seed(seed))
    encoder = ParameterEncoder(*sizes.pop(), shape, seed)
    encoder.fit_scales(windows.obs, windows.actions, windows.next_obs, windows.parameters)
    optimiser = torch.optim.AdamW(
        encoder.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.updates)
    for _ in range(config.updates):
        obs, actions, next_obs, parameters = windows.draw(config.batch, config.window)
        loss = surprise(encoder.believe(encoder.embed(obs, actions, next_obs)), parameters)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(encoder.parameters(), 10.0)
        optimiser.step()
        schedule.step()
    if not math.isfinite(float(loss.detach())):
        raise ModelError("training of the encoder diverged; lower learning_rate")
    return encoder.requires_grad_(False)


def surprise(belief: Belief, parameters: Float[Tensor, "B K"]) -> Float[Tensor, ""]:
    """Mean negative log-likelihood of the true parameters, but for a constant."""
    off = (parameters - belief.mean) / belief.deviation
    return (off.square() / 2 + belief.deviation.log()).mean()


class _Windows:
    """Draws windows of the episodes."""

    def __init__(self, episodes: Sequence[KnownEpisode], generator: torch.Generator) -> None:
        self.obs = torch.cat([one.obs[:-1] for one in episodes])
        self.next_obs = torch.cat([one.obs[1:] for one in episodes])
        self.actions = torch.cat([one.actions for one in episodes])
        self.parameters = torch.stack([one.parameters for one in episodes])
        self._lengths = torch.tensor([len(one) for one in episodes])
        self._first = self._lengths.cumsum(0) - self._lengths
        self._generator = generator

    def draw(self, batch: int, longest: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Obs [B n O], actions, next obs and parameters [B K]: all windows equally long, and the logarithm even."""
        most = min(longest, int(self._lengths.max()))
        share = float(torch.rand((), generator=self._generator))
        n = min(most, math.floor((most + 1) ** share))
        long = (self._lengths >= n).nonzero()[:, 0]
        chosen = long[torch.randint(len(long), (batch,), generator=self._generator)]
        room = self._lengths[chosen] - n + 1
        start = (torch.rand(batch, generator=self._generator) * room).long()
        rows = (self._first[chosen] + start)[:, None] + torch.arange(n)
        return self.obs[rows], self.actions[rows], self.next_obs[rows], self.parameters[chosen]


@torch.no_grad()
def identified(
    encoder: ParameterEncoder, episodes: Sequence[KnownEpisode], steps: int, window: int
) -> Belief:
    """What is believed after so many control steps of each episode, or all of a shorter one: the last L tell it."""
    found = []
    for one in episodes:
        n = min(steps, len(one))
        first = max(0, n - window)
        embedded = encoder.embed(one.obs[first:n], one.actions[first:n], one.obs[first + 1 : n + 1])
        found.append(encoder.believe(embedded[None]))
    return Belief(torch.cat([one.mean for one in found]), torch.cat([one.deviation for one in found]))


def explained(truth: Float[Tensor, "B K"], estimate: Float[Tensor, "B K"]) -> Float[Tensor, " K"]:
    """R2 of each parameter over episodes; NaN where the truth does not differ."""
    missed = (truth - estimate).square().sum(dim=0)
    spread = (truth - truth.mean(dim=0)).square().sum(dim=0)
    return torch.where(spread > 0, 1 - missed / spread, torch.nan)
