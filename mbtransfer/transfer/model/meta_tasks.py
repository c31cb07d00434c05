"""Distributions of tasks for `mbtransfer.transfer.model.meta_initialisation`: sines, and dynamics of variants."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mbtransfer.transfer.model.meta_initialisation import Data
from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.training.batches import Step
from world_models.training.losses import MultiStepLoss
from world_models.transitions import Transitions

AMPLITUDE, PHASE, ENDS = (0.1, 5.0), (0.0, math.pi), 5.0
"""Of the sines of Finn et al. (2017), section 5.1: x is between -5 and 5."""


@dataclass(frozen=True)
class Sines:
    """Regression of sines of random amplitude and phase from few points (Finn et al. 2017, section 5.1).

    Attributes:
        shots: points of each batch.
    """

    shots: int = 10

    def __call__(self, tasks: int, batches: int, generator: torch.Generator) -> Sequence[Data]:
        """Sines, and points x and y [N shots 1] of each."""
        return self.with_grid(tasks, batches, generator)[0]

    def with_grid(
        self, tasks: int, batches: int, generator: torch.Generator, points: int = 100
    ) -> tuple[Sequence[Data], Data]:
        """The same, and evenly spaced points of each sine, by which what was learned is judged."""
        amplitude, phase = (
            low + (high - low) * torch.rand(tasks, 1, 1, generator=generator)
            for low, high in (AMPLITUDE, PHASE)
        )
        xs = [ENDS * (2 * torch.rand(tasks, self.shots, 1, generator=generator) - 1) for _ in range(batches)]
        grid = torch.linspace(-ENDS, ENDS, points)[None, :, None].expand(tasks, -1, -1)
        *drawn, even = ((x, amplitude * torch.sin(x - phase)) for x in (*xs, grid))
        return drawn, even


def squared_error(module: nn.Module, data: Data) -> Float[Tensor, ""]:
    """The mean squared error of a network from x to y."""
    x, y = data
    error: Tensor = (module(x) - y).square().mean()
    return error


def dynamics_loss(dynamics: nn.Module, data: Data) -> Tensor:
    """The one-step loss of an ensemble, the sum over its members, on obs, actions and next obs [E B ...]."""
    assert isinstance(dynamics, EnsembleDynamics)
    head: bool = dynamics.config.head == "gaussian"
    return MultiStepLoss(dynamics, "nll" if head else "mse")((Step(*data),)).sum()


@dataclass(frozen=True, eq=False)
class VariantSampler:
    """Tasks that are dynamics: transitions of variants of an environment, see `tasks.variants`.

    Attributes:
        pools: those of each variant.
        members: E, networks of the ensemble; each draws its own rows.
        batch: rows of each batch.
    """

    pools: tuple[Transitions, ...]
    members: int
    batch: int = 32

    def __call__(self, tasks: int, batches: int, generator: torch.Generator) -> Sequence[Data]:
        """Variants, with replacement, and rows of each [N E B ...]."""
        chosen = torch.randint(len(self.pools), (tasks,), generator=generator).tolist()
        return [self.rows(chosen, generator) for _ in range(batches)]

    def rows(self, chosen: Sequence[int], generator: torch.Generator) -> Data:
        """A batch of each of the variants chosen."""
        parts = []
        for pool in (self.pools[k] for k in chosen):
            rows = torch.randint(len(pool), (self.members, self.batch), generator=generator)
            parts.append(
                [column[rows.to(column.device)] for column in (pool.obs, pool.actions, pool.next_obs)]
            )
        return tuple(torch.stack(columns) for columns in zip(*parts, strict=True))
