"""Training settings and learning rate schedule."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch

from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.dynamics.precision import Precision
from world_models.errors import ModelError
from world_models.training.distributed import ProcessGroup
from world_models.training.losses import LIKELIHOODS, Loss

Choice = Literal["loss", "rollout"]

LONG_EPOCH = 250
"""Updates after which an epoch ends anyway. At equal updates more data make a better model, so that data
need not cost time: 5,000 updates on 200,000 transitions beat as many on 60,000 by a third of the error."""


@dataclass(frozen=True)
class TrainingConfig:
    """How the ensemble is trained."""

    epochs: int = 20
    """Passes over the data, each cut short after `LONG_EPOCH` updates."""
    batch: int = 256
    """Transitions per member and step."""
    learning_rate: float = 1e-2
    """Highest rate of the one-cycle schedule."""
    loss: Loss = "huber"
    """On normalised changes: huber, mse, or (gaussian heads only) nll, beta_nll."""
    rollout_steps: int = 1
    """Control steps over which the loss follows the model's own predictions; 1 for predictions from data."""
    weight_decay: float = 0.0
    """Share by which weights shrink in one step, per unit of learning rate."""
    precision: Precision = "auto"
    """Of the products in training: float32, bfloat16, or auto, which is bfloat16 on a GPU that has it."""
    bootstrap: bool = False
    """Give each member its own bootstrap sample instead of its own shuffle of everything."""
    moving: float = 0.0
    """Share of each batch in which an object moves, each object as often; 0 draws transitions as they come."""
    elites: int = 5
    """Members that planning follows: the best ones by error of roll-outs on held-out episodes."""
    choose: Choice = "loss"
    """What tells each member's best epoch, on held-out episodes: the loss, or the error of roll-outs."""
    patience: int = 5
    """Epochs without a better member after which training stops, once the rate falls; 0 never stops."""
    steps_per_epoch: int = 0
    """Updates between two looks at held-out episodes; 0 for an epoch as described above."""
    seconds: float = 0.0
    """Time allowed: the schedule shrinks to fit into it; 0 for no limit. A limit cannot be reproduced."""


def check_config(config: TrainingConfig, dynamics: EnsembleDynamics) -> None:
    """See that a training can be done so.

    Raises:
        ModelError: names the setting.
    """
    for name in ("epochs", "batch", "elites", "rollout_steps"):
        if getattr(config, name) < 1:
            raise ModelError(f"{name} must be at least 1, not {getattr(config, name)}")
    for name in ("patience", "steps_per_epoch", "seconds", "weight_decay"):
        if not 0 <= getattr(config, name) < math.inf:
            raise ModelError(f"{name} must be zero or more, not {getattr(config, name)}")
    if not 0 < config.learning_rate < math.inf:
        raise ModelError(f"learning_rate must be above zero, not {config.learning_rate}")
    for name, kind in (("loss", Loss), ("choose", Choice), ("precision", Precision)):
        if getattr(config, name) not in get_args(kind):
            raise ModelError(f"no {name} {getattr(config, name)!r}; there are {', '.join(get_args(kind))}")
    if config.loss in LIKELIHOODS and dynamics.config.head != "gaussian":
        raise ModelError(f"loss {config.loss} needs head gaussian; a deterministic head takes huber or mse")
    if config.loss in LIKELIHOODS and config.rollout_steps > 1:
        raise ModelError(f"loss {config.loss} judges single steps; rollout_steps above 1 needs huber or mse")


def check_ranks(ranks: ProcessGroup, config: TrainingConfig, dynamics: EnsembleDynamics) -> None:
    """See that a training can be shared so.

    Raises:
        ModelError: more processes than members, or a time limit.
    """
    members = dynamics.config.members
    if ranks.size > members:
        raise ModelError(
            f"{members} members cannot be shared by {ranks.size} processes: begin {members} or fewer"
        )
    if ranks.size > 1 and config.seconds:
        raise ModelError("a limit of seconds is for one process: several would end at different updates")


def training_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """The type of the products in training; weights, moments and losses are float32 whatever it is.

    Apart from imagination's choice: on a processor, `auto` is float32, so that a seed gives the same model
    wherever it is trained.
    """
    gpu = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    wanted = precision == "bfloat16" or (precision == "auto" and gpu)
    return torch.bfloat16 if wanted else torch.float32


class LearningRate(NamedTuple):
    """Adam's step size and first-moment decay for one step."""

    learning_rate: float
    momentum: float = 0.9


Schedule = Callable[[int], LearningRate | None]
"""The rate of step i; None ends training before that step."""


@dataclass(frozen=True)
class OneCycle:
    """Rate up and down again along cosines, momentum the other way (Smith and Topin 2018, super-convergence).

    The same curve as `torch.optim.lr_scheduler.OneCycleLR` with its defaults, but as a function of how much
    of the training is over, so that it needs no state and can follow the clock.
    """

    peak: float
    rise: float = 0.3

    def __call__(self, progress: float) -> LearningRate:
        """The rate when `progress` of the training, from 0 to 1, is over."""
        if progress < self.rise:
            up = _cosine(progress / self.rise)
            return LearningRate(self.peak * (0.04 + 0.96 * up), 0.95 - 0.1 * up)
        down = _cosine(min((progress - self.rise) / (1 - self.rise), 1.0))
        return LearningRate(self.peak * (1 - down * (1 - 4e-6)), 0.85 + 0.1 * down)


def _cosine(fraction: float) -> float:
    return (1 - math.cos(math.pi * fraction)) / 2
