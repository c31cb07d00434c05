"""Soft actor-critic of several tasks with a temperature for each of them, on top of Stable-Baselines3's."""

from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float, Int
from stable_baselines3 import SAC
from stable_baselines3.common.utils import polyak_update
from torch import Tensor
from torch.nn import functional


class TaskTemperatureSAC(SAC):
    """SAC whose temperature alpha_k belongs to the task that a transition is of.

    Yu et al. 2019, "Meta-World", have it in their multi-task SAC: with one temperature, tasks that are solved early
    would end the exploration of the others. Each descends (Haarnoja et al. 2018, "Soft actor-critic algorithms and
    applications", eq. 18)

        J(alpha_k) = E over its own transitions of  -alpha_k (log pi(a | s) + target entropy).

    Args:
        contexts: those of the K tasks, the last columns of the observations.
        arguments: see `SAC`.
    """

    def __init__(self, *, contexts: Float[Tensor, "K C"], **arguments: Any) -> None:
        super().__init__(**arguments)
        self.contexts = contexts.to(self.device)
        self.log_temperatures = torch.zeros(len(contexts), device=self.device, requires_grad=True)
        self.temperature_optimiser = torch.optim.Adam([self.log_temperatures], self.lr_schedule(1.0))

    def task_of(self, obs: Float[Tensor, "B O"]) -> Int[Tensor, " B"]:
        """The task that each row is of, by its context."""
        given = obs[:, obs.shape[1] - self.contexts.shape[1] :].float()
        return torch.cdist(given, self.contexts).argmin(dim=1)

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """As many updates of temperatures, critics and actor, in the library's order."""
        self.policy.set_training_mode(True)
        self._update_learning_rate([self.actor.optimizer, self.critic.optimizer, self.temperature_optimiser])
        for _ in range(gradient_steps):
            assert self.replay_buffer is not None
            batch = self.replay_buffer.sample(batch_size, env=self._vec_normalize_env)
            obs, ahead = batch.observations, batch.next_observations
            assert isinstance(obs, Tensor) and isinstance(ahead, Tensor)
            log_temperature = rearrange(self.log_temperatures[self.task_of(obs)], "b -> b 1")
            temperature = log_temperature.detach().exp()
            actions, log_prob = self.actor.action_log_prob(obs)
            log_prob = rearrange(log_prob, "b -> b 1")
            assert isinstance(self.target_entropy, float)
            surplus = (log_prob + self.target_entropy).detach()
            _descend(self.temperature_optimiser, -(log_temperature * surplus).mean())

            with torch.no_grad():
                next_actions, next_log_prob = self.actor.action_log_prob(ahead)
                beyond = torch.cat(self.critic_target(ahead, next_actions), dim=1).amin(dim=1, keepdim=True)
                beyond = beyond - temperature * rearrange(next_log_prob, "b -> b 1")
                aim = batch.rewards + (1 - batch.dones) * self.gamma * beyond
            errors = [functional.mse_loss(value, aim) for value in self.critic(obs, batch.actions)]
            _descend(self.critic.optimizer, 0.5 * torch.stack(errors).sum())

            value = torch.cat(self.critic(obs, actions), dim=1).amin(dim=1, keepdim=True)
            _descend(self.actor.optimizer, (temperature * log_prob - value).mean())
            polyak_update(self.critic.parameters(), self.critic_target.parameters(), self.tau)
        self._n_updates += gradient_steps


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
