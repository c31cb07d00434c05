"""Implicit Q-learning on the relabelled pool.

Implicit Q-learning (Kostrikov et al. 2022, "Offline reinforcement learning with implicit Q-learning", section 4):
the value is an upper expectile of the Q-values of the pool's actions, and the policy imitates the pool's actions, with
more weight on better ones. Neither evaluates actions that nobody took. A comparison with `actor_critic.Trainer` shows
what imagination adds.
"""

import copy

import torch
from jaxtyping import Float
from torch import Tensor

from mbtransfer.mpc.objective import Reward
from mbtransfer.mpc.task_policy import Actor, Critic
from mbtransfer.training.policy.actor_critic import PolicyTrainingConfig, scaled, step
from planners.base import Bounds
from world_models.transitions import Transitions

EXPECTILE = 0.8
"""Expectile of the actions' Q-values that is the value; 0.5 would be their mean."""

KEENNESS = 100.0
"""Inverse temperature: an action is imitated with weight exp(KEENNESS * advantage), on values from 0 to 1."""

MOST = 100.0
"""Maximum weight of an action."""

BATCH = 512
RATE = 1e-3


class PoolTrainer:
    """Improves a policy and a value, update by update, on random transitions of the pool.

    Rewards are scaled as in `actor_critic.Trainer`.

    Args:
        pool: the transitions.
        reward: the task's learned reward.
        span: lowest and highest reward among the labels.
        bounds: the action box.
        config: gives the discount, and the rate at which the target copy follows.
        seed: seed of all randomness.
    """

    def __init__(
        self,
        pool: Transitions,
        reward: Reward,
        span: tuple[float, float],
        bounds: Bounds,
        config: PolicyTrainingConfig,
        seed: int,
    ) -> None:
        self._pool, self._config = pool, config
        self._rewards = scaled(reward(pool.obs, pool.actions, pool.next_obs), span)
        self._actions = ((pool.actions - bounds.middle) / bounds.half).clamp(-1.0, 1.0)
        self._generator = torch.Generator(pool.obs.device).manual_seed(seed)
        inputs, outputs = pool.obs.shape[1], pool.actions.shape[1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.actor = Actor(inputs, outputs).to(pool.obs.device)
            self.target = Critic(inputs).to(pool.obs.device)
            self._worth = Critic(inputs + outputs).to(pool.obs.device)
        self.actor.fit_normalizer(pool.obs)
        self.target.fit_normalizer(pool.obs)
        self._worth.fit_normalizer(torch.cat([pool.obs, self._actions], dim=1))
        self._slow_worth = copy.deepcopy(self._worth).requires_grad_(False)
        nets = (self.actor, self.target, self._worth)
        self._steps = [torch.optim.Adam(net.parameters(), RATE) for net in nets]

    def update(self) -> float:
        """Update policy, value and Q-function; returns the mean scaled reward of the batch."""
        rows = torch.randint(
            len(self._pool), (BATCH,), generator=self._generator, device=self._pool.obs.device
        )
        obs, actions, rewards = self._pool.obs[rows], self._actions[rows], self._rewards[rows]
        both = torch.cat([obs, actions], dim=1)
        with torch.no_grad():
            discount = self._config.discount
            target = (1 - discount) * rewards + discount * self.target(self._pool.next_obs[rows]).clamp(
                0.0, 1.0
            )
            better = self._slow_worth(both) - self.target(obs)
        actor, value, worth = self._steps
        step(value, _expectile(self._slow_worth(both) - self.target.both(obs)))
        step(worth, (self._worth.both(both) - target).square().mean())
        weight = (KEENNESS * better).exp().clamp(max=MOST)
        step(actor, (weight * (self.actor(obs) - actions).square().sum(dim=1)).mean())
        for target, fast in zip(self._slow_worth.parameters(), self._worth.parameters(), strict=True):
            target.lerp_(fast.detach(), self._config.follow)
        return float(rewards.mean())


def _expectile(error: Float[Tensor, "2 N"]) -> Float[Tensor, ""]:
    weight = torch.where(error > 0, EXPECTILE, 1 - EXPECTILE)
    return (weight * error.square()).mean()
