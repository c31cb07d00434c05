"""Fine-tuning of the dynamics in ways that the literature compares: how much is learned, and what holds the rest.

`all` weights, on the new transitions alone; the `last_layer` alone; all with a penalty of the distance to the old
weights, equal (`l2_sp`) or by what they mean to the old data (`ewc`), see `anchors.py`; all with `replay` of old
transitions (Rolnick et al. 2019, "Experience replay for continual learning"); or a small `adapter` beside the frozen
network, see `lateral_adapter.py`. `adapt.py` has the method of `mbtransfer adapt`, made for objects that never moved.
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.adaptation.anchors import CURVATURE, Anchor, AnchoredAdam, equal_importance, fisher
from world_models.adaptation.lateral_adapter import adapter_masks, attach
from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.errors import ModelError
from world_models.training.batches import Epoch, InMemorySource, replay_weights
from world_models.training.config import OneCycle, TrainingConfig, check_config, training_dtype
from world_models.training.losses import Loss
from world_models.training.state import TrainingProgress
from world_models.training.trainer import held_out_loss, train_steps
from world_models.transitions import Transitions, check_sizes

Variant = Literal["all", "last_layer", "l2_sp", "ewc", "replay", "adapter"]

VARIANTS: tuple[Variant, ...] = get_args(Variant)

STRENGTH: dict[Variant, float] = {"l2_sp": 0.01, "ewc": 1.0}
"""How strongly old weights hold unless a strength is given; with `ewc`, one weighs old transitions as new ones."""

FISHER_ROWS = 1024
"""Old transitions, at most, from which the Fisher information is estimated."""

JUDGED = 4096
"""Replayed transitions, at most, on which an epoch is judged."""


@dataclass(frozen=True)
class VariantConfig:
    """How the dynamics are fine-tuned."""

    variant: Variant = "replay"
    """What learns, and what holds the rest: all, last_layer, l2_sp, ewc, replay or adapter."""
    epochs: int = 8
    """Looks at the held-out new transitions."""
    steps_per_epoch: int = 60
    """Optimiser steps between two looks."""
    batch: int = 256
    """Transitions per member and step."""
    learning_rate: float = 5e-3
    """Highest rate of the one-cycle schedule."""
    loss: Loss = "huber"
    """On normalised changes: huber or mse."""
    strength: float | None = None
    """Of the penalty of l2_sp or ewc; None for its own, see `STRENGTH`. An infinite one lets nothing move."""
    replay: float = 0.5
    """Share of each batch of replay that comes from the pool."""
    units: int = 16
    """Units of the adapter in each hidden layer of each block."""

    @property
    def force(self) -> float:
        """The strength of the penalty."""
        return STRENGTH.get(self.variant, 0.0) if self.strength is None else self.strength


@dataclass(frozen=True)
class FineTuned:
    """A fine-tuned ensemble.

    Attributes:
        dynamics: the ensemble; scales and elites are as they were.
        learned: numbers that could change.
        before, after: loss on the held-out new transitions, mean over members.
    """

    dynamics: EnsembleDynamics
    learned: int
    before: float
    after: float


def check_variant(config: VariantConfig) -> None:
    """See that a fine-tuning can be done so.

    Raises:
        ModelError: names the setting.
    """
    for name, known in (("variant", VARIANTS), ("loss", tuple(CURVATURE))):
        if getattr(config, name) not in known:
            raise ModelError(f"no {name} {getattr(config, name)!r} here; there are {', '.join(known)}")
    if not config.force >= 0:
        raise ModelError(f"strength must be zero or more, not {config.force}")
    if not 0 < config.replay < 1:
        raise ModelError(f"replay must be between 0 and 1, not {config.replay}")
    for name in ("units", "steps_per_epoch"):
        if getattr(config, name) < 1:
            raise ModelError(f"{name} must be at least 1, not {getattr(config, name)}")


def fine_tune(
    dynamics: EnsembleDynamics,
    pool: Transitions,
    new: Transitions,
    held_out: Transitions,
    config: VariantConfig | None = None,
    seed: int = 0,
) -> FineTuned:
    """Fine-tune a copy; the given ensemble stays as it is, and so do weights in it that require no gradient.

    Scales stay too: where something moves that never did, call `adapt.rescale` on a copy before, or its errors count
    many times over.

    Of each member the epoch is kept, the start included, at which what it minimises is least: the loss on held-out new
    transitions with its penalty, or mixed with that on the pool as batches of replay are.

    Args:
        dynamics: the fitted ensemble.
        pool: old transitions; `ewc` and `replay` look at them.
        new: transitions to learn from.
        held_out: more of them, to know when to stop.
        config: how.
        seed: of shuffles, of the adapter's first weights, and of the estimate of the Fisher information.

    Raises:
        ModelError: transitions of another world, a setting that makes no sense, or a training that diverges.
    """
    config = config or VariantConfig()
    check_variant(config)
    settings = TrainingConfig(
        epochs=config.epochs, batch=config.batch, learning_rate=config.learning_rate, loss=config.loss,
        steps_per_epoch=config.steps_per_epoch,
    )  # fmt: skip
    check_config(settings, dynamics)
    for part in (pool, new, held_out):
        check_sizes(part, dynamics.layout)
    generator = torch.Generator().manual_seed(seed)
    pool, new, held_out = (part.to(dynamics.unit.device) for part in (pool, new, held_out))
    tuning = _FineTuning(dynamics, pool, new, held_out, config, generator)
    return tuning.run(settings, seed)


class _FineTuning:
    """One fine-tuning: what learns, from what, and how it is judged."""

    def __init__(
        self, dynamics: EnsembleDynamics, pool: Transitions, new: Transitions, held_out: Transitions,
        config: VariantConfig, generator: torch.Generator,
    ) -> None:  # fmt: skip
        self.asked = {name: value.requires_grad for name, value in dynamics.named_parameters()}
        self.config, self.held_out, self.members = config, held_out, dynamics.config.members
        self.masks = dict[str, Tensor]()
        if config.variant == "adapter":
            self.model = attach(dynamics, config.units, generator)
            self.masks = adapter_masks(self.model, config.units)
        else:
            self.model = deepcopy(dynamics)
        self.learned = self._choose()
        self.replayed = config.replay if config.variant == "replay" else 0.0
        some = torch.randperm(len(pool), generator=generator).to(pool.obs.device)
        self.old = pool[some[:JUDGED]]
        self.source = InMemorySource(new)
        if self.replayed:
            shares = [1 - self.replayed, self.replayed]
            self.source = InMemorySource(
                Transitions.join([new, pool]), replay_weights([len(new), len(pool)], shares)
            )
        self.anchor: Anchor | None = None
        if config.variant in STRENGTH:
            known = (
                equal_importance(self.model)
                if config.variant == "l2_sp"
                else fisher(self.model, pool[some[:FISHER_ROWS]], generator, config.loss)
            )
            self.anchor = Anchor.of(self.model, config.force, known)

    def _choose(self) -> int:
        """Let only what is to learn require a gradient; how many numbers that are."""
        last = {f"{kind}.{self.model.config.layers}" for kind in ("weights", "biases", "gains")}
        learned = 0
        for name, value in self.model.named_parameters():
            chosen = self.config.variant != "last_layer" or name in last
            if self.masks:
                chosen = bool(self.masks[name].any())
            value.requires_grad_(chosen and self.asked[name])
            learned += value.requires_grad * int(self.masks[name].sum() if self.masks else value.numel())
        if not learned:
            raise ModelError(f"variant {self.config.variant}: none of its weights requires a gradient")
        return learned

    def run(self, settings: TrainingConfig, seed: int) -> FineTuned:
        """Train, and keep each member's best epoch."""
        hooks = [
            value.register_hook(self.masks[name].mul)
            for name, value in self.model.named_parameters()
            if self.masks and value.requires_grad
        ]
        before = float(self._held_out_loss().mean())
        progress = TrainingProgress.start(self.model)
        progress.best_loss = self._judged()
        optimiser, cycle = AnchoredAdam(self.model, self.anchor), OneCycle(settings.learning_rate)
        dtype, steps = training_dtype(settings.precision, self.held_out.obs.device), settings.steps_per_epoch
        for number in range(settings.epochs):
            asked = Epoch(seed, number + 1, self.members, steps, settings.batch)
            losses = train_steps(
                self.model, optimiser, self.source.batches(asked),
                lambda step, done=number * steps: cycle((done + step) / (steps * settings.epochs)),  # type: ignore[misc]
                loss=settings.loss, dtype=dtype,
            )  # fmt: skip
            judged = self._judged()
            if not bool((losses + judged).isfinite().all()):
                raise ModelError(f"fine-tuning diverged in epoch {number + 1}; lower learning_rate")
            progress.keep_better(self.model, judged)
        progress.restore_best(self.model)
        for hook in hooks:
            hook.remove()
        after = float(self._held_out_loss().mean())
        for name, value in self.model.named_parameters():
            value.requires_grad_(self.asked[name])
        return FineTuned(self.model, self.learned, before, after)

    def _held_out_loss(self) -> Float[Tensor, " E"]:
        return held_out_loss(self.model, self.held_out, self.config.loss)

    def _judged(self) -> Float[Tensor, " E"]:
        """What each member minimises, on transitions that it did not learn from as far as there are any."""
        loss = self._held_out_loss()
        if self.replayed:
            loss = (1 - self.replayed) * loss + self.replayed * held_out_loss(
                self.model, self.old, self.config.loss
            )
        return loss if self.anchor is None else loss + self.anchor.penalty(self.model, self.members)
