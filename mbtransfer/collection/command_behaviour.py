"""Collection by following random commands to the body."""

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.collection.noise import ActionNoise
from mbtransfer.mpc.command_policy import CommandPolicy

STEPS = 100
"""Control steps after which an episode gets another command."""


class CommandBehaviour:
    """B episodes that follow random commands, with noise on their actions.

    Args:
        policy: follows commands.
        batch: B.
        noise_std: standard deviation of the noise on each action, as a share of half the action range.
        rng: source of commands and noise.
    """

    def __init__(self, policy: CommandPolicy, batch: int, noise_std: float, rng: np.random.Generator) -> None:
        self._policy, self._noise = policy, ActionNoise(policy.bounds, noise_std, rng)
        self._generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        self._batch, self._step = batch, 0

    def act(self, obs: Float[ndarray, "B O"], state: Float[ndarray, "B S"]) -> Float[ndarray, "B A"]:
        """See `Behaviour.act`."""
        if self._step % STEPS == 0:
            self._commands = self._policy.commands.draw(self._batch, self._generator)
        self._step += 1
        return self._noise.add(self._policy.act(torch.from_numpy(obs), self._commands))
