"""A point that is pushed about: simulated, imagined exactly, and tasks for it; not a test."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tasks.simulator import Simulator
from tasks.task import Task
from world_models.dynamics.rollout import Imagination, Imagined


class Exact(Imagination):
    """Imagines what `Pushed` simulates: every particle sees the same, true future."""

    def __init__(self, particles: int) -> None:
        self.particles = particles

    def __call__(self, obs: Tensor, actions: Tensor, generator: torch.Generator | None = None) -> Imagined:
        path = torch.cat([obs[:, None], obs[:, None] + actions.cumsum(dim=1)], dim=1).transpose(0, 1)
        path = path[:, None].expand(-1, self.particles, -1, -1)
        return Imagined(path, path, torch.ones(obs.shape[1]))


class Pushed(Simulator):
    """A point that is pushed about; its state is time and place."""

    def __init__(self) -> None:
        self.observe = lambda states: states[..., 1:].astype(np.float32)

    def rollout(self, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
        place = states[:, None, 1:] + np.cumsum(actions, axis=1)
        time = np.zeros((*place.shape[:2], 1))
        return np.concatenate([time, place], axis=-1)


def pull(obs: Tensor, action: Tensor, next_obs: Tensor) -> Tensor:
    """Depends on all three, and tells their order apart."""
    return -next_obs.norm(dim=-1) + 0.3 * obs[..., 0] - 0.2 * action[..., 1]


class Toward(Task):
    """Go along x."""

    def __init__(self, name: str, description: str, split: str, sign: float) -> None:
        super().__init__(name, description, split)
        object.__setattr__(self, "sign", sign)

    def reward(self, obs: Tensor, action: Tensor, next_obs: Tensor) -> Tensor:
        return self.sign * next_obs[..., 0]  # type: ignore[attr-defined]

    def success(self, obs: Tensor) -> Tensor:
        return self.sign * obs[..., 0] > 0  # type: ignore[attr-defined]
