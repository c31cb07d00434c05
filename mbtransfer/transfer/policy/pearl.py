"""PEARL: one policy of all source tasks that is told what their labels say of a task, learned from labels alone.

Rakelly et al. 2019, "Efficient off-policy meta-reinforcement learning via probabilistic context variables". Soft
actor-critic whose actor and critics read a latent task z beside the observation; z is drawn from q(z | c), what some
transitions c of the task say of it (`mbtransfer.transfer.policy.context_encoder`). The encoder learns
through the critics:

    min over Q, q of  E (Q(s, a, z) - r - discount V(s', z))^2 + beta KL(q(z | c) | N(0, 1)),   z ~ q(z | c)
    max over pi of    E min_i Q_i(s, a, z) + alpha H(pi(. | s, z)),                             a ~ pi(. | s, z)

As it is off-policy, it learns here from the labelled transitions of the pool and takes no step in the environment; in a
target its labels are the context. The paper collects data by turns, here all of them are there at the start, so that
nothing corrects a value that is too high where the pool has not been. Two things stand against it: rewards are scaled
to be from 0 to 1, and values are kept in the range that these allow; V leaves out the entropy, which would exceed it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from mbtransfer.errors import UserError
from mbtransfer.mpc.agent import action_bounds
from mbtransfer.mpc.objective import Policy
from mbtransfer.mpc.task_policy import Scaled
from mbtransfer.transfer.method import Costs, Method, Solution, Sources, parameters
from mbtransfer.transfer.policy.context_encoder import ContextEncoder, LabelledPool
from planners.base import Bounds
from tasks.task import Task
from world_models.transitions import Transitions

LOG_DEVIATION = (-5.0, 2.0)
"""Of actions before they are squashed: least and greatest."""


@dataclass(frozen=True)
class PEARLConfig:
    """Settings of the training.

    Attributes:
        updates: number of updates.
        batch: transitions of each source task per update.
        context: transitions that a context is made of.
        latent: columns of z.
        divergence: beta, the weight of the divergence from the prior.
        temperature: alpha at the beginning; it then follows the entropy, which is to be -A.
        discount: discount factor per control step.
        rate: learning rate of all networks, and of the temperature.
        follow: rate at which the target critics follow per update.
    """

    updates: int = 2000
    batch: int = 32
    context: int = 64
    latent: int = 8
    divergence: float = 0.01
    temperature: float = 0.02
    discount: float = 0.95
    rate: float = 1e-3
    follow: float = 0.01


class LatentActor(nn.Module):
    """A policy that reads observation and latent task; actions are from -1 to 1.

    Args:
        pool: transitions to whose observations the inputs are normalised.
        latent: columns of z.
    """

    def __init__(self, pool: Transitions, latent: int) -> None:
        super().__init__()
        self.net = _reading(pool.obs, latent, 2 * pool.actions.shape[1])

    def forward(self, obs: Float[Tensor, "*b O"], z: Float[Tensor, "*b L"]) -> Float[Tensor, "*b A"]:
        """The mean action."""
        mean, _ = self.net.read(torch.cat([obs, z], dim=-1)).chunk(2, dim=-1)
        return torch.tanh(mean)

    def draw(
        self, obs: Float[Tensor, "*b O"], z: Float[Tensor, "*b L"]
    ) -> tuple[Float[Tensor, "*b A"], Float[Tensor, "*b"]]:
        """A random action through which gradients flow, and its log probability."""
        mean, raw = self.net.read(torch.cat([obs, z], dim=-1)).chunk(2, dim=-1)
        chosen = torch.distributions.Normal(mean, raw.clamp(*LOG_DEVIATION).exp())
        x = chosen.rsample()
        # log(1 - tanh(x)^2) in a form that does not overflow
        slope = 2.0 * (torch.log(torch.tensor(2.0)) - x - functional.softplus(-2.0 * x))
        return torch.tanh(x), (chosen.log_prob(x) - slope).sum(dim=-1)


class LatentCritic(nn.Module):
    """Two estimates of the value of an action in a latent task; see `LatentActor` for the arguments."""

    def __init__(self, pool: Transitions, latent: int) -> None:
        super().__init__()
        beside = pool.actions.shape[1] + latent
        self.first, self.second = _reading(pool.obs, beside, 1), _reading(pool.obs, beside, 1)

    def forward(
        self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"], z: Float[Tensor, "*b L"]
    ) -> Float[Tensor, "2 *b"]:
        """Both estimates; actions are from -1 to 1."""
        rows = torch.cat([obs, action, z], dim=-1)
        return torch.stack([self.first.read(rows)[..., 0], self.second.read(rows)[..., 0]])


def _reading(obs: Float[Tensor, "N O"], beside: int, outputs: int) -> Scaled:
    """A network that reads observations, which it normalises, and columns beside them, which it does not."""
    columns = obs.shape[1]
    net = Scaled(columns + beside, outputs)
    net.centre[:columns], net.scale[:columns] = obs.mean(dim=0), obs.std(dim=0).clamp(min=1e-3)
    return net


class PEARLTrainer:
    """Learns encoder, actor and critics from labelled transitions; draws from the global generator.

    Args:
        labels: of the source tasks.
        pool: transitions to which inputs are normalised.
        bounds: the action box.
        config: settings.
    """

    def __init__(self, labels: LabelledPool, pool: Transitions, bounds: Bounds, config: PEARLConfig) -> None:
        self._labels, self._bounds, self._config = labels, bounds, config
        device = pool.obs.device
        self.encoder = ContextEncoder(pool, config.latent).to(device)
        self.actor = LatentActor(pool, config.latent).to(device)
        self.critic, self._slow = (LatentCritic(pool, config.latent).to(device) for _ in range(2))
        self._slow.load_state_dict(self.critic.state_dict())
        self._slow.requires_grad_(False)
        self._log_temperature = torch.tensor(math.log(config.temperature), device=device, requires_grad=True)
        learned: tuple[Iterator[nn.Parameter] | list[Tensor], ...] = (
            iter([*self.encoder.parameters(), *self.critic.parameters()]),
            self.actor.parameters(), [self._log_temperature],
        )  # fmt: skip
        self._of_critic, self._of_actor, self._of_temperature = (
            torch.optim.Adam(each, config.rate) for each in learned
        )

    def update(self) -> None:
        """One update of everything."""
        config, batch = self._config, self._labels.draw(self._config.batch)
        taken = ((batch.actions - self._bounds.middle) / self._bounds.half).clamp(-1.0, 1.0)
        posterior = self._labels.draw(config.context).posterior(self.encoder)
        z = repeat(posterior.draw(), "k l -> k b l", b=config.batch)
        with torch.no_grad():
            ahead, _ = self.actor.draw(batch.next_obs, z)
            beyond = (
                self._slow(batch.next_obs, ahead, z).amin(dim=0).clamp(0.0, 1.0 / (1.0 - config.discount))
            )
            aim = batch.reward + config.discount * beyond
        error = (self.critic(batch.obs, taken, z) - aim).square().mean(dim=(1, 2)).sum()
        _descend(self._of_critic, error + config.divergence * posterior.divergence().mean())

        told = z.detach()
        action, log_prob = self.actor.draw(batch.obs, told)
        temperature = self._log_temperature.detach().exp()
        value = self.critic(batch.obs, action, told).amin(dim=0)
        _descend(self._of_actor, (temperature * log_prob - value).mean())
        surplus = (log_prob.detach() - action.shape[-1]).mean()
        _descend(self._of_temperature, -self._log_temperature * surplus)
        with torch.no_grad():
            for slow, fast in zip(self._slow.parameters(), self.critic.parameters(), strict=True):
                slow.lerp_(fast, config.follow)


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


@dataclass(frozen=True, eq=False)
class LatentPolicy:
    """What was learned from the source tasks.

    Attributes:
        sources: what it was learned from.
        encoder: tells a target's z.
        actor: acts.
        pool: transitions of the pool that it was learned from.
    """

    sources: Sources
    encoder: ContextEncoder
    actor: LatentActor
    pool: int

    def policy(self, z: Float[Tensor, " L"]) -> Policy:
        """The policy in that latent task."""
        bounds = action_bounds(self.sources.model.environment.spec, self.sources.model.device)

        def policy(obs: Float[Tensor, "B O"]) -> Float[Tensor, "B A"]:
            with torch.no_grad():
                return bounds.middle + self.actor(obs, z.expand(len(obs), -1)) * bounds.half

        return policy


@dataclass(frozen=True)
class PEARL(Method[LatentPolicy]):
    """Carries one policy of all source tasks, which is told what the labels of a target say.

    Attributes:
        training: how it is trained.
    """

    name: ClassVar[str] = "pearl"
    without_practice: ClassVar[bool] = True
    training: PEARLConfig = field(default_factory=PEARLConfig)

    def small(self) -> "PEARL":
        """See `Method.small`."""
        return replace(self, training=replace(self.training, updates=max(1, self.training.updates // 5)))

    def pretrain(self, sources: Sources) -> LatentPolicy:
        """Learn from the labelled transitions of all source tasks, without a step in the environment.

        Raises:
            UserError: no source tasks.
        """
        if not sources.tasks:
            raise UserError("pearl needs at least one source task; name some")
        model = sources.model
        labels = LabelledPool.of([model.label(task, sources.labels) for task in sources.tasks])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(sources.seed)
            bounds = action_bounds(model.environment.spec, model.device)
            trainer = PEARLTrainer(labels, model.pool, bounds, self.training)
            for _ in range(self.training.updates):
                trainer.update()
        used = torch.cat([model.draw(task.name)[: sources.labels] for task in sources.tasks])
        encoder, actor = trainer.encoder.requires_grad_(False), trainer.actor.requires_grad_(False)
        return LatentPolicy(sources, encoder, actor, len(used.unique()))

    def solve(self, carried: LatentPolicy, target: Task) -> Solution:
        """Tell the policy what the labels of the target say: the mean of z, over contexts as large as in training."""
        sources, size = carried.sources, self.training.context
        labels = LabelledPool.of([sources.model.label(target, sources.labels)])
        count = labels.reward.shape[1]
        rows = torch.arange(count // size * size if count > size else count, device=labels.reward.device)
        contexts = LabelledPool(
            *(
                rearrange(x[0, rows], "(k n) ... -> k n ...", n=min(size, count))
                for x in vars(labels).values()
            )
        )
        z = contexts.posterior(carried.encoder).mean.mean(dim=0)
        labelled = sources.labels * len({task.name for task in (*sources.tasks, target)})
        return Solution(carried.policy(z), Costs(carried.pool, 0, labelled, parameters(carried.actor)))
