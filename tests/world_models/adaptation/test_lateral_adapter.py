"""An adapter changes nothing until it learns, and leaves nothing behind when it is taken away."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from world_models.adaptation.lateral_adapter import adapter_masks, attach, detach
from world_models.checkpoint.storage import digest
from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.dynamics.rollout import Imagination
from world_models.errors import ModelError
from world_models.transitions import Transitions

Build = Callable[..., EnsembleDynamics]
STRUCTURES = ["objects", "shared", "attention", "dense"]


def predicted(dynamics: EnsembleDynamics, data: Transitions) -> Tensor:
    """[E, B, O] of mean and log-variance."""
    members = dynamics.config.members
    found = dynamics(data.obs.expand(members, -1, -1), data.actions.expand(members, -1, -1))
    return torch.stack(found).detach()


def stir(dynamics: EnsembleDynamics, units: int, generator: torch.Generator) -> None:
    """Give the adapter random weights, as learning might."""
    masks = adapter_masks(dynamics, units)
    with torch.no_grad():
        for name, value in dynamics.named_parameters():
            value += masks[name] * torch.randn(value.shape, generator=generator)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("head", ["deterministic", "gaussian"])
def test_it_begins_as_the_identity_and_comes_off_bit_for_bit(
    build: Build, valid: Transitions, generator: torch.Generator, structure: str, head: str
) -> None:
    base = build(structure=structure, head=head, layers=3)
    base.normalizer.fit(valid.obs, valid.next_obs)
    base.elites = torch.tensor([1, 0])
    expected = predicted(base, valid)
    wide = attach(base, 5, generator)
    torch.testing.assert_close(predicted(wide, valid), expected, atol=1e-5, rtol=1e-4)
    stir(wide, 5, generator)
    assert float((predicted(wide, valid) - expected).abs().max()) > 0.1
    bare = detach(wide, 5)
    assert torch.equal(predicted(bare, valid), expected)
    assert digest(bare.state_dict()) == digest(base.state_dict()) and bare.config == base.config


def test_old_units_hear_nothing_of_new_ones(
    build: Build, valid: Transitions, generator: torch.Generator
) -> None:
    base = build(structure="dense", layers=3)
    wide = attach(base, 5, generator)
    stir(wide, 5, generator)
    with torch.no_grad():
        wide.weights[-1][:, :, 16:] = 0.0  # new units say nothing, whatever they think
    torch.testing.assert_close(predicted(wide, valid), predicted(base, valid), atol=1e-5, rtol=1e-4)


def test_new_units_read_old_ones(build: Build, valid: Transitions, generator: torch.Generator) -> None:
    wide = attach(build(structure="dense"), 5, generator)
    stir(wide, 5, generator)
    before = predicted(wide, valid)
    with torch.no_grad():
        wide.weights[1][:, 16:, :16] = 0.0
    assert float((predicted(wide, valid) - before).abs().max()) > 0.1


def test_plans_are_imagined_with_it(build: Build, valid: Transitions, generator: torch.Generator) -> None:
    wide = attach(build(), 5, generator)
    actions = valid.actions[:20, None]

    def ahead() -> Tensor:
        return Imagination(wide, 2)(valid.obs[:20], actions).obs[-1]

    before = ahead()
    stir(wide, 5, generator)
    assert not torch.equal(ahead(), before)


@pytest.mark.parametrize("units", [0, 16])
def test_impossible_sizes_are_refused(build: Build, generator: torch.Generator, units: int) -> None:
    with pytest.raises(ModelError, match=f"cannot take {units} of 16 units"):
        detach(build(), units)
    if not units:
        with pytest.raises(ModelError, match="at least one unit"):
            attach(build(), units, generator)
