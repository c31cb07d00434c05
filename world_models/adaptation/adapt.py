"""Fine-tuning on few new transitions, with replay.

Three ideas: blocks of objects that the model explains are frozen, so what is known of them stays; a block
that never saw its object move starts from the weights of whichever other object's block explains the new
transitions best, turned and mirrored (see `weight_transfer.py`); and training mixes the new transitions with a replay
of the pool, keeping each member's best epoch on held-out new ones.
"""

from copy import deepcopy
from dataclasses import dataclass

import torch
from einops import repeat
from jaxtyping import Float
from torch import Tensor

from world_models.adaptation.weight_transfer import transplant
from world_models.dynamics.blocks import REACH
from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.errors import ModelError
from world_models.normalizer import moving_scale
from world_models.training.batches import replay_weights
from world_models.training.trainer import TrainingConfig, fit
from world_models.transitions import Transitions, check_sizes

SURPRISING = 0.7
"""A block is taught anew when it leaves more than this share of its object's movement unexplained."""

ADAPTABLE = ("objects", "dense")
"""Structures in which what is taught anew shares no weights with what is to stay, or all of it is taught."""


@dataclass(frozen=True)
class FineTuningConfig:
    """How a model is adapted."""

    epochs: int = 8
    """Looks at the held-out new transitions."""
    steps_per_epoch: int = 60
    """Optimiser steps between two looks."""
    learning_rate: float = 5e-3
    """Highest rate of the one-cycle schedule."""
    replay: float = 0.3
    """Share of each batch that comes from the pool."""


@dataclass(frozen=True)
class Adapted:
    """The result of an adaptation.

    Attributes:
        dynamics: the adapted ensemble.
        taught: names of the objects whose blocks were trained.
        donors: for each of them that never moved before, from which object's block it began, turned how.
        before, after: loss on the held-out new transitions, mean over members, in the adapted model's scales.
    """

    dynamics: EnsembleDynamics
    taught: tuple[str, ...]
    donors: dict[str, str]
    before: float
    after: float


def check_adaptable(dynamics: EnsembleDynamics) -> None:
    """See that a model can be adapted, before episodes are spent on it.

    Raises:
        ModelError: its blocks cannot be taught one by one.
    """
    structure = dynamics.config.structure
    if structure not in ADAPTABLE:
        there = ", ".join(ADAPTABLE)
        raise ModelError(f"a model of structure {structure} cannot be adapted; fit one of {there}")


def adapt(
    dynamics: EnsembleDynamics,
    pool: Transitions,
    new: Transitions,
    held_out: Transitions,
    config: FineTuningConfig | None = None,
    seed: int = 0,
) -> Adapted:
    """Fine-tune a copy on new transitions; the given ensemble stays as it is.

    Args:
        dynamics: the fitted ensemble.
        pool: transitions to replay.
        new: transitions of the new task.
        held_out: more of them, to know when to stop.
        config: how.
        seed: of shuffles.

    Raises:
        ModelError: transitions of another world, a setting that makes no sense, or a model whose blocks cannot
            be taught one by one.
    """
    config = config or FineTuningConfig()
    check_adaptable(dynamics)
    for part in (pool, new, held_out):
        check_sizes(part, dynamics.layout)
    model = deepcopy(dynamics)
    rescale(model, new)
    before = float(_errors(model, held_out).mean())  # in the units of `after`
    taught, strange = surprising(model, new)
    names = [model.layout.objects[k].name for k in taught]
    grafted = strange and model.blocks > 1
    donors = {name: transplant(model, new, k) for name, k in zip(names, taught, strict=True) if grafted}
    hooks = _freeze(model, taught)
    old = away_from(model, pool, taught) if strange else pool
    both = Transitions.join([new, old])
    weights = replay_weights([len(new), len(old)], [1 - config.replay, config.replay])
    settings = TrainingConfig(
        epochs=config.epochs, steps_per_epoch=config.steps_per_epoch, learning_rate=config.learning_rate,
        elites=len(model.elites), patience=0,
    )  # fmt: skip
    for _ in fit(model, both, held_out, settings, seed, weights=weights, keep_scales=True):
        pass
    for hook in hooks:
        hook.remove()
    errors = _errors(model, held_out)
    model.elites = errors.argsort()[: len(dynamics.elites)]
    return Adapted(model, tuple(names), donors, before, float(errors.mean()))


@torch.no_grad()
def rescale(dynamics: EnsembleDynamics, new: Transitions) -> None:
    """Let the scale of change grow for columns that move more than ever before; predictions stay the same.

    But for a joint: its ends are then felt from as far as its new steps reach.
    """
    normalizer, last = dynamics.normalizer, len(dynamics.weights) - 1
    seen = moving_scale(new.obs, new.next_obs)
    grown = torch.where(seen > 2 * normalizer.change, seen, normalizer.change)
    factor = (normalizer.change / grown)[dynamics.unit]
    factor = repeat(factor, "k y -> (e k) y 1", e=dynamics.config.members)
    dynamics.weights[last][:, : dynamics.outputs] *= factor
    dynamics.biases[last][:, : dynamics.outputs] *= factor
    normalizer.change.copy_(grown)


@torch.no_grad()
def surprising(dynamics: EnsembleDynamics, new: Transitions) -> tuple[list[int], bool]:
    """Objects that moved in the new transitions and that the ensemble cannot explain, and whether there are any.

    Where there are none, all objects that moved.
    """
    members = dynamics.config.members
    mean = dynamics(new.obs.expand(members, -1, -1), new.actions.expand(members, -1, -1)).mean.mean(dim=0)
    change = (new.next_obs - new.obs) / dynamics.normalizer.change
    moved, badly = [], []
    for k, body in enumerate(dynamics.layout.objects):
        columns = list(body.positions)
        total = float(change[:, columns].square().sum())
        if total < 1.0:
            continue
        moved.append(k)
        left = float((mean - change)[:, columns].square().sum())
        if left > SURPRISING * total:
            badly.append(k)
    return badly or moved, bool(badly)


def away_from(dynamics: EnsembleDynamics, pool: Transitions, objects: list[int]) -> Transitions:
    """Transitions out of reach of some objects: near them the pool may say what the new data contradict."""
    near = torch.zeros(len(pool), dtype=torch.bool, device=pool.obs.device)
    for k in objects:
        vector = list(dynamics.layout.objects[k].vector)
        near |= pool.obs[:, vector].norm(dim=1) < REACH
    return pool[~near] if bool((~near).any()) else pool


@torch.no_grad()
def _errors(dynamics: EnsembleDynamics, data: Transitions) -> Float[Tensor, " E"]:
    """Mean squared error of each member on normalised changes."""
    members = dynamics.config.members
    mean = dynamics(data.obs.expand(members, -1, -1), data.actions.expand(members, -1, -1)).mean
    error = mean - (data.next_obs - data.obs) / dynamics.normalizer.change
    return error.square().mean(dim=(1, 2))


def _freeze(dynamics: EnsembleDynamics, taught: list[int]) -> list[torch.utils.hooks.RemovableHandle]:
    """Let gradients through to the blocks of these objects only."""
    if dynamics.blocks == 1:
        return []
    learns = torch.zeros(dynamics.blocks, device=dynamics.elites.device)
    learns[[1 + k for k in taught]] = 1.0
    mask = repeat(learns, "k -> (e k) 1 1", e=dynamics.config.members)
    return [parameter.register_hook(lambda grad: grad * mask) for parameter in dynamics.parameters()]
