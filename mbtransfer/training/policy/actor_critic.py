"""Actor-critic training in imagination.

The gradient of the return flows through the ensemble, the task's reward head and the value at the end of a short
roll-out; the value learns from lambda-returns (Xu et al. 2022, "Accelerated policy learning with parallel
differentiable simulation", SHAC, section 3; Heess et al. 2015, SVG(H)). Roll-outs start from the pool or continue
where the last ones ended. Every step is taken by another member, so that the errors of one member cannot be exploited
for long (Chua et al. 2018, TS1).

With a temperature the policy is stochastic and maximises rewards plus entropy: the reward of a step loses the
temperature times how much surer than chance the action was, per action column (Haarnoja et al. 2017, "Reinforcement
learning with deep energy-based policies", whose section on pre-training shows what for: a policy that knows several
ways is a better start for a new task than one that knows the best; here with a squashed normal policy and a gradient
through the model, as in SVG and soft actor-critic).

The uncertainty penalty compares two members at a time, whose squared difference is in expectation twice the variance
of the ensemble: MOPO (Yu et al. 2020, "Model-based offline policy optimization").
"""

import copy
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from mbtransfer.errors import UserError
from mbtransfer.mpc.objective import Reward
from mbtransfer.mpc.task_policy import Actor, Critic, GaussianActor
from planners.base import Bounds
from world_models.dynamics.rollout import Imagination
from world_models.transitions import Transitions

SAMPLE = 2000
"""Number of transitions of the pool from which the usual difference is estimated."""

SUREST = -10.0
"""Value of a policy without rewards that is as sure as can be, in temperatures; more than `LOG_SCALE` allows."""


@runtime_checkable
class World(Protocol):
    """What is rolled out: an `Imagination`, or dynamics that are known."""

    particles: int

    def step(self, obs: Float[Tensor, "P O R"], action: Float[Tensor, "P A R"]) -> Float[Tensor, "P O R"]:
        """One control step of R roll-outs of each particle, differentiable."""
        ...


class EnsemblePenalty:
    """Penalty for disagreement: compares each member's prediction with that of its neighbour.

    Args:
        imagination: the ensemble, one particle per member.
        change: usual change of each column in a control step.
        pool: observed transitions.
    """

    def __init__(self, imagination: Imagination, change: Float[Tensor, " O"], pool: Transitions) -> None:
        self._imagination, self._change = imagination, change
        rows = torch.linspace(0, len(pool) - 1, min(len(pool), SAMPLE), device=pool.obs.device).long()
        obs, actions = (
            x[rows].expand(imagination.particles, -1, -1).contiguous() for x in (pool.obs, pool.actions)
        )
        with torch.no_grad():
            self._usual = self._difference(obs, actions, self._step(obs, actions)).median().clamp(min=1e-6)

    def __call__(
        self, obs: Float[Tensor, "P R O"], action: Float[Tensor, "P R A"], ahead: Float[Tensor, "P R O"]
    ) -> Float[Tensor, "P R"]:
        """The difference of two members in units of the usual one, minus one and at least zero; differentiable."""
        return (self._difference(obs, action, ahead) / self._usual - 1).clamp(min=0.0)

    def _difference(
        self, obs: Float[Tensor, "P R O"], action: Float[Tensor, "P R A"], ahead: Float[Tensor, "P R O"]
    ) -> Float[Tensor, "P R"]:
        """Root mean square difference over the columns, in units of their usual change."""
        neighbour = self._step(obs.roll(1, dims=0), action.roll(1, dims=0)).roll(-1, dims=0)
        apart: Tensor = ((ahead - neighbour) / self._change).square().mean(dim=-1)
        return (apart + 1e-8).sqrt()  # the root has no gradient at zero

    def _step(self, obs: Float[Tensor, "P R O"], action: Float[Tensor, "P R A"]) -> Float[Tensor, "P R O"]:
        return self._imagination.step(obs.mT, action.mT).mT


@dataclass(frozen=True)
class PolicyTrainingConfig:
    """Settings of the training.

    Attributes:
        horizon: imagined control steps through which gradients flow.
        rows: roll-outs of each member per update.
        discount: discount factor per control step.
        trace: lambda, the weight of longer returns.
        noise: standard deviation of the noise on actions in training, as a share of half the action range.
        actor_rate: learning rate of the policy.
        critic_rate: learning rate of the value.
        follow: rate at which the target copy of the value follows it per update.
        stay: share of the roll-outs that continue where those of the last update ended; the others start from the pool.
        uncertainty_penalty: reward lost where two members differ by twice as much as usual, as a share of the
            labels' range.
        temperature: worth of entropy, where rewards are from 0 to 1; above zero the policy is a `GaussianActor`, with
            its own noise instead of `noise`.
    """

    horizon: int = 8
    rows: int = 50
    discount: float = 0.98
    trace: float = 0.9
    noise: float = 0.2
    actor_rate: float = 1e-3
    critic_rate: float = 2e-3
    follow: float = 0.05
    stay: float = 0.5
    uncertainty_penalty: float = 0.0
    temperature: float = 0.0


class RollOuts(NamedTuple):
    """Imagined roll-outs of the policy.

    Attributes:
        obs: states, the first one given.
        actions: actions, from -1 to 1, relative to each column's range.
        rewards: scaled rewards.
    """

    obs: Float[Tensor, "points P R O"]
    actions: Float[Tensor, "H P R A"]
    rewards: Float[Tensor, "H P R"]


class Trainer:
    """Improves a policy and a value, update by update.

    Rewards are scaled so that values are from 0 to 1, and clipped to the range of the labels: a model is most wrong
    where it promises more than was ever observed. Roll-out r of each member stays in row r, so that rewards and
    networks may differ from row to row (see `mbtransfer.transfer.policy.contextual_policy`).

    Args:
        imagination: the ensemble, one particle per member, in float32, or another world.
        reward: the task's learned reward.
        span: lowest and highest reward among the labels.
        starts: observations of the pool.
        bounds: the action box.
        config: settings of the training.
        seed: seed of all randomness.
        penalty: how much less the reward is, in units of `config.uncertainty_penalty`: how much members differ (an
            `EnsemblePenalty`), or another cost of transitions; needed if the settings have a penalty.
        networks: policy and value to improve, made for R rows of observations; None for new ones.

    Raises:
        UserError: a temperature, and a policy that is no `GaussianActor`.
    """

    def __init__(
        self, imagination: World, reward: Reward, span: tuple[float, float],
        starts: Float[Tensor, "N O"], bounds: Bounds, config: PolicyTrainingConfig, seed: int,
        penalty: Reward | None = None, networks: tuple[Actor, Critic] | None = None,
    ) -> None:  # fmt: skip
        self._imagination, self._reward, self._span = imagination, reward, span
        self._starts, self._bounds, self._config, self._penalty = starts, bounds, config, penalty
        self._generator = torch.Generator(starts.device).manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            kind = GaussianActor if config.temperature else Actor
            actor, critic = networks or (kind(starts.shape[1], len(bounds.low)), Critic(starts.shape[1]))
        if config.temperature and not isinstance(actor, GaussianActor):
            raise UserError(
                "training.temperature is above zero, but this policy is deterministic; leave it out"
            )
        self.actor, self.critic = actor.to(starts.device), critic.to(starts.device)
        self.actor.fit_normalizer(starts)
        self.critic.fit_normalizer(starts)
        self.target = copy.deepcopy(self.critic).requires_grad_(False)
        self._ends: Tensor | None = None
        self._actor_steps = torch.optim.Adam(self.actor.parameters(), config.actor_rate)
        self._critic_steps = torch.optim.Adam(self.critic.parameters(), config.critic_rate)

    def start_from(self, starts: Float[Tensor, "N O"]) -> None:
        """Take other start states from now on."""
        self._starts = starts

    def update(self) -> float:
        """Update policy and value; returns the mean scaled reward of the roll-outs."""
        obs, actions, rewards = self._imagine()
        step(self._actor_steps, -self._promised(obs[-1], rewards).mean())
        seen, rewards = obs.detach(), rewards.detach()
        self._last = RollOuts(seen, actions.detach(), rewards)
        returns = self._returns(rewards, seen)
        self._ends = rearrange(seen[-1], "p r o -> (p r) o")
        error = (self.critic.both(seen[:-1]) - returns).square().mean()
        step(self._critic_steps, error)
        for target, fast in zip(self.target.parameters(), self.critic.parameters(), strict=True):
            target.lerp_(fast.detach(), self._config.follow)
        return float(rewards.mean())

    def _imagine(self) -> RollOuts:
        """Roll out the policy."""
        members, device, config = self._imagination.particles, self._starts.device, self._config
        path, taken, rewards = [self._beginnings()], list[Tensor](), list[Tensor]()
        for _ in range(config.horizon):
            order = torch.randperm(members, generator=self._generator, device=device)
            path, taken, rewards = ([one[order] for one in each] for each in (path, taken, rewards))
            obs = path[-1]
            chosen, surer = self._act(obs)
            taken.append(chosen)
            action = self._bounds.middle + taken[-1] * self._bounds.half
            ahead = self._imagination.step(obs.mT, action.mT).mT
            reward = scaled(self._reward(obs, action, ahead), self._span)
            if self._penalty:
                reward = reward - config.uncertainty_penalty * self._penalty(obs, action, ahead)
            if config.temperature:
                reward = reward - config.temperature * surer
            rewards.append(reward)
            path.append(ahead)
        return RollOuts(torch.stack(path), torch.stack(taken), torch.stack(rewards))

    def _beginnings(self) -> Float[Tensor, "P R O"]:
        """Start states from the pool; some roll-outs continue where those of the last update ended."""
        config, members = self._config, self._imagination.particles
        shape, device = (members * config.rows,), self._starts.device
        rows = torch.randint(len(self._starts), shape, generator=self._generator, device=device)
        fresh = self._starts[rows]
        if self._ends is not None:
            stays = torch.rand(shape, generator=self._generator, device=device) < config.stay
            stays &= self._ends.isfinite().all(dim=1)
            fresh = torch.where(stays[:, None], self._ends, fresh)
        return rearrange(fresh, "(p r) o -> p r o", p=members)

    def _act(self, obs: Float[Tensor, "P R O"]) -> tuple[Float[Tensor, "P R A"], Float[Tensor, "P R"]]:
        """Actions with noise, from -1 to 1, and how much surer than chance they are (zero without temperature)."""
        noise = torch.randn(
            *obs.shape[:-1], len(self._bounds.low), generator=self._generator, device=obs.device
        )
        if isinstance(self.actor, GaussianActor):
            return self.actor.sample(obs, noise)
        action: Tensor = (self.actor(obs) + self._config.noise * noise).clamp(-1.0, 1.0)
        return action, action.new_zeros(action.shape[:-1])

    def _promised(self, end: Float[Tensor, "P R O"], rewards: Float[Tensor, "H P R"]) -> Float[Tensor, "P R"]:
        """The objective of the policy: the rewards of the roll-out, and the value at its end."""
        discount, horizon = self._config.discount, len(rewards)
        power = discount ** torch.arange(horizon, device=rewards.device)
        total = (1 - discount) * torch.einsum("h,hpr->pr", power, rewards)
        return total + discount**horizon * self._value(end)

    def _value(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b"]:
        """The value that is learned from: at most 1, and at least 0 but for the price of being sure."""
        return self.target(obs).clamp(min(0.0, SUREST * self._config.temperature), 1.0)

    @torch.no_grad()
    def _returns(
        self, rewards: Float[Tensor, "H P R"], obs: Float[Tensor, "points P R O"]
    ) -> Float[Tensor, "H P R"]:
        """Lambda-returns, times 1 - discount (Sutton and Barto 2018, section 12.1)."""
        config, values = self._config, self._value(obs[1:])
        ahead, returns = values[-1], list[Tensor]()
        for reward, value in zip(reversed(rewards), reversed(values), strict=True):
            beyond = (1 - config.trace) * value + config.trace * ahead
            ahead = (1 - config.discount) * reward + config.discount * beyond
            returns.append(ahead)
        return torch.stack(returns[::-1])


def scaled(reward: Float[Tensor, "*b"], span: tuple[float, float]) -> Float[Tensor, "*b"]:
    """Rewards scaled from 0 at the lowest to 1 at the highest reward of the labels."""
    low, high = span
    return ((reward - low) / max(high - low, 1e-6)).clamp(0.0, 1.0)


def step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    """Take one optimiser step with clipped gradients."""
    optimiser.zero_grad()
    loss.backward()
    weights = [p for group in optimiser.param_groups for p in group["params"]]
    torch.nn.utils.clip_grad_norm_(weights, 1.0)
    optimiser.step()
