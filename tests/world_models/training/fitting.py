"""Short fits, and models compared bit by bit; not a test."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.training.trainer import EpochReport, TrainingConfig, fit

Build = Callable[..., EnsembleDynamics]

SHORT = TrainingConfig(epochs=4, batch=64)


def run(*args: object, **keywords: object) -> list[EpochReport]:
    return list(fit(*args, **keywords))  # type: ignore[arg-type]


def bits(dynamics: EnsembleDynamics) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in dynamics.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items()) and len(one) == len(other)
