"""A small column of new units beside a frozen network (progressive networks: Rusu et al. 2016, section 2).

Each layer of the new column reads the new units below it and, laterally, the old units below it (eq. 1 there); the old
column hears nothing of it. Here its outputs are added to the old ones, with weights that begin at zero, so that nothing
changes until it learns; and it is small, as an adapter.

Both columns are one wider ensemble, so that everything that plans in an ensemble, or saves one, takes it as it is.
"""

from dataclasses import replace

import torch
from jaxtyping import Bool
from torch import Tensor

from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.errors import ModelError


@torch.no_grad()
def attach(dynamics: EnsembleDynamics, units: int, generator: torch.Generator) -> EnsembleDynamics:
    """The ensemble with so many more units in each hidden layer of each block, which do not count yet.

    Predictions are the same, but for rounding: longer sums may be added up in another order.

    Raises:
        ModelError: no units.
    """
    if units < 1:
        raise ModelError(f"an adapter needs at least one unit, not {units}")
    old = dynamics.config.hidden
    wide = EnsembleDynamics(dynamics.layout, replace(dynamics.config, hidden=old + units), generator)
    wide = wide.to(dynamics.unit.device)
    for i, weight in enumerate(wide.weights):
        if i == dynamics.config.layers:
            weight.zero_()  # all outputs begin with the old units alone
        elif i:
            weight[:, :old, old:] = 0.0  # the old column is deaf to the new one
    if wide.attention is not None:  # the old units' alone
        wide.attention.ask.zero_()
        wide.attention.answer.zero_()
    for new, value in zip(wide.parameters(), dynamics.parameters(), strict=True):
        new[_corner(value)] = value
    _same_buffers(wide, dynamics)
    return wide


@torch.no_grad()
def detach(dynamics: EnsembleDynamics, units: int) -> EnsembleDynamics:
    """The ensemble without its last so many units: bit for bit what they were attached to.

    Raises:
        ModelError: there are not so many.
    """
    left = dynamics.config.hidden - units
    if units < 1 or left < 1:
        raise ModelError(f"cannot take {units} of {dynamics.config.hidden} units away")
    narrow = EnsembleDynamics(dynamics.layout, replace(dynamics.config, hidden=left))
    narrow = narrow.to(dynamics.unit.device)
    for value, wide in zip(narrow.parameters(), dynamics.parameters(), strict=True):
        value.copy_(wide[_corner(value)])
    _same_buffers(narrow, dynamics)
    return narrow


def adapter_masks(dynamics: EnsembleDynamics, units: int) -> dict[str, Bool[Tensor, "..."]]:
    """Which numbers of each parameter of an ensemble belong to an adapter of so many units."""
    first, masks = dynamics.config.hidden - units, dict[str, Tensor]()
    for name, value in dynamics.named_parameters():
        masks[name] = mask = torch.zeros_like(value, dtype=torch.bool)
        axis = _axis_of_units(name, dynamics.config.layers)
        if axis is not None:
            mask.narrow(axis, first, value.shape[axis] - first).fill_(True)
    return masks


def _axis_of_units(name: str, layers: int) -> int | None:
    """Along which axis of a parameter the new units are told from the old ones; None if all of it is the old ones'.

    New units are written by rows of a layer's weights and biases, and read by columns of the next one. Old units read
    by columns that stay zero, in the rows of the old ones.
    """
    kind, _, number = name.partition(".")
    if kind == "weights":
        return 1 if int(number) < layers else 2
    if kind == "biases":
        return 1 if int(number) < layers else None
    return 2 if kind == "gains" and int(number) else None


def _corner(parameter: Tensor) -> tuple[slice, ...]:
    """Where a narrow network's parameter is in a wider one's: units that were there first come first."""
    return tuple(slice(size) for size in parameter.shape)


def _same_buffers(to: EnsembleDynamics, of: EnsembleDynamics) -> None:
    to.normalizer.load_state_dict(of.normalizer.state_dict())
    to.elites = of.elites.clone()
