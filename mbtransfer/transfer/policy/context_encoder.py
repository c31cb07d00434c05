"""A probabilistic context: what some transitions of a task say of it, as a distribution over a latent vector.

Rakelly et al. 2019, "Efficient off-policy meta-reinforcement learning via probabilistic context variables" (PEARL):
each transition c_n is a factor, and the posterior is their product, whatever their order,

    q(z | c_1 .. c_N) = prod_n N(z; f_mu(c_n), f_sigma(c_n)),   to be near the prior N(0, 1) where they say little.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from mbtransfer.mpc.task_policy import Scaled
from world_models.rewards.head import Labels
from world_models.transitions import Transitions

TINY = 1e-6
"""The least variance of a factor, and the least range and spread of rewards."""


@dataclass(frozen=True, eq=False)
class Posterior:
    """Independent normal distributions of the L columns of z, for each of some tasks."""

    mean: Float[Tensor, "*k L"]
    variance: Float[Tensor, "*k L"]

    def draw(self) -> Float[Tensor, "*k L"]:
        """A sample through which gradients flow, from the global generator."""
        return self.mean + self.variance.sqrt() * torch.randn_like(self.mean)

    def divergence(self) -> Float[Tensor, "*k"]:
        """Kullback-Leibler divergence from the prior N(0, 1)."""
        return 0.5 * (self.variance + self.mean.square() - 1.0 - self.variance.log()).sum(dim=-1)


class ContextEncoder(nn.Module):
    """Reads transitions with their rewards.

    Args:
        pool: transitions to whose observations and changes the inputs are normalised.
        latent: L, columns of z.
    """

    change: Tensor

    def __init__(self, pool: Transitions, latent: int) -> None:
        super().__init__()
        obs, actions = pool.obs, pool.actions
        self.factor = Scaled(2 * obs.shape[1] + actions.shape[1] + 1, 2 * latent)
        columns = torch.cat([obs, pool.next_obs - obs, actions], dim=1)
        self.factor.centre[:-1] = columns.mean(dim=0)
        self.factor.scale[:-1] = columns.std(dim=0).clamp(min=1e-3)

    def forward(
        self, obs: Float[Tensor, "*k N O"], actions: Float[Tensor, "*k N A"], next_obs: Float[Tensor, "*k N O"],
        reward: Float[Tensor, "*k N"],
    ) -> Posterior:  # fmt: skip
        """What N transitions of each task say; rewards have mean 0 and variance 1 over the task's labels."""
        read = self.factor.read(torch.cat([obs, next_obs - obs, actions, reward[..., None]], dim=-1))
        mean, raw = read.chunk(2, dim=-1)
        variance = functional.softplus(raw).clamp(min=TINY)
        precision = variance.reciprocal()
        together = precision.sum(dim=-2).reciprocal()
        return Posterior(together * (mean * precision).sum(dim=-2), together)


@dataclass(frozen=True, eq=False)
class LabelledPool:
    """The labelled transitions of K tasks, as many of each.

    Attributes:
        obs: observations.
        actions: actions.
        next_obs: observations after a control step.
        reward: from 0 at the task's lowest label to 1 at its highest.
        scaled: the same, with mean 0 and variance 1 over the task's labels.
    """

    obs: Float[Tensor, "K N O"]
    actions: Float[Tensor, "K N A"]
    next_obs: Float[Tensor, "K N O"]
    reward: Float[Tensor, "K N"]
    scaled: Float[Tensor, "K N"]

    @classmethod
    def of(cls, labels: Sequence[Labels]) -> "LabelledPool":
        """Those of some tasks; of a task with more than another, the first ones."""
        count = min(len(one.reward) for one in labels)
        obs, actions, next_obs, reward = (
            torch.stack([getattr(one, name)[:count] for one in labels])
            for name in ("obs", "actions", "next_obs", "reward")
        )
        low, high = reward.amin(dim=1, keepdim=True), reward.amax(dim=1, keepdim=True)
        apart = reward.std(dim=1, keepdim=True, correction=0).clamp(min=TINY)
        scaled = (reward - reward.mean(dim=1, keepdim=True)) / apart
        return cls(obs, actions, next_obs, (reward - low) / (high - low).clamp(min=TINY), scaled)

    def draw(self, count: int) -> "LabelledPool":
        """So many transitions of each task, from the global generator, with replacement."""
        tasks, available = self.reward.shape
        rows = torch.randint(available, (tasks, count), device=self.reward.device)
        each = torch.arange(tasks, device=rows.device)[:, None]
        return LabelledPool(*(x[each, rows] for x in vars(self).values()))

    def posterior(self, encoder: ContextEncoder) -> Posterior:
        """What these transitions say of each task."""
        return encoder(self.obs, self.actions, self.next_obs, self.scaled)
