"""Our way of calling Stable-Baselines3: its defaults, one seed for everything, and no trace in the global generators.

Raffin et al. 2021, "Stable-Baselines3: reliable reinforcement learning implementations". `python -m
benchmarks.sac_baseline` calls it through this file for a published figure of the library's own. It comes with the extra
`transfer`, and is imported when first needed: every command would otherwise wait for it.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mbtransfer.errors import UserError
from mbtransfer.mpc.objective import Policy
from planners.base import Bounds

if TYPE_CHECKING:
    from stable_baselines3 import SAC

INSTALL = "pip install 'mbtransfer[transfer]'"


def missing(*modules: str) -> str:
    """The first of these modules that is not installed, and what installs it; empty if all are."""
    return next((f"{name}: {INSTALL}" for name in modules if find_spec(name) is None), "")


def require(*modules: str) -> None:
    """Refuse to begin without the library.

    Raises:
        UserError: it is not installed.
    """
    if lacking := missing(*modules):
        raise UserError(f"this method needs {lacking}")


@contextmanager
def own_randomness() -> Iterator[None]:
    """Put the global generators of Python, NumPy and torch, which the library seeds and draws from, back afterwards."""
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(legacy)  # noqa: NPY002


@dataclass(frozen=True)
class SACConfig:
    """Settings of soft actor-critic (Haarnoja et al. 2018, "Soft actor-critic algorithms and applications").

    The defaults are the library's.

    Attributes:
        rate: learning rate.
        batch: transitions per update.
        discount: discount factor per control step.
        follow: rate at which the target critics follow per update.
        warm_up: first control steps with random actions and without updates.
        every: control steps between two rounds of updates; each has as many updates as steps were taken.
        width: units of each of the two hidden layers.
    """

    rate: float = 3e-4
    batch: int = 256
    discount: float = 0.99
    follow: float = 0.005
    warm_up: int = 100
    every: int = 1
    width: int = 256

    def arguments(self, steps: int) -> dict[str, Any]:
        """What `SAC` is made with, for so many control steps in all."""
        return {
            "learning_rate": self.rate, "batch_size": self.batch, "gamma": self.discount, "tau": self.follow,
            "learning_starts": self.warm_up, "train_freq": self.every, "gradient_steps": -1,
            "buffer_size": max(steps, 1), "policy_kwargs": {"net_arch": [self.width, self.width]},
        }  # fmt: skip


def train_sac(
    env: gymnasium.Env[Any, Any], steps: int, config: SACConfig, seed: int, device: torch.device | str = "cpu"
) -> "SAC":
    """Train soft actor-critic from scratch.

    Args:
        env: the environment.
        steps: control steps to take in it.
        config: settings.
        seed: of networks, exploration and the environment.
        device: where the networks are.

    Raises:
        UserError: the library is not installed.
    """
    require("stable_baselines3")
    from stable_baselines3 import SAC

    with own_randomness():
        agent = SAC("MlpPolicy", env, seed=seed, device=device, **config.arguments(steps))
        agent.learn(steps)
    return agent


def policy_of(agent: "SAC", bounds: Bounds) -> Policy:
    """The mean action of an agent, in the action box; it changes with the agent's weights."""
    actor = agent.policy.actor

    def policy(obs: Float[Tensor, "B O"]) -> Float[Tensor, "B A"]:
        actor.set_training_mode(False)
        with torch.no_grad():
            return bounds.middle + bounds.half * actor(obs, deterministic=True)

    return policy
