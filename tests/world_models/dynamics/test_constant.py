"""Columns that never change in an episode: every block reads them, and no roll-out moves them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from world_models.checkpoint.manifest import first_difference
from world_models.dynamics.blocks import make_blocks
from world_models.dynamics.ensemble import EnsembleConfig, EnsembleDynamics
from world_models.dynamics.rollout import Imagination
from world_models.layout import Layout


@pytest.fixture
def heavier(layout: Layout) -> Layout:
    """The toy world, with a mass as its last column."""
    return replace(
        layout, columns=(*layout.columns, "log mass"), low=(*layout.low, -1.0), high=(*layout.high, 1.0),
        limited=(*layout.limited, False), constant=(layout.obs_size,),
    )  # fmt: skip


@pytest.mark.parametrize("structure", ["dense", "objects", "shared"])
def test_no_roll_out_moves_it_and_every_block_heeds_it(heavier: Layout, structure: str) -> None:
    mass = heavier.constant[0]
    blocks = make_blocks(heavier, structure)
    assert all(mass in reads for reads in blocks.reads.tolist())
    assert not blocks.moves[..., mass].any()
    generator = torch.Generator().manual_seed(0)
    dynamics = EnsembleDynamics(heavier, EnsembleConfig(2, structure, 16), generator)
    obs = 0.1 * torch.randn(6, heavier.obs_size, generator=generator)
    heavy = obs.clone()
    heavy[:, mass] += 0.7
    actions = torch.randn(6, 5, 3, generator=generator).clamp(-1, 1)
    imagination = Imagination(dynamics, 2)
    light, other = (imagination(start, actions).obs for start in (obs, heavy))
    assert torch.equal(other[..., mass], heavy[:, mass].expand(6, 2, 6))
    assert not torch.allclose(light[-1, ..., :mass], other[-1, ..., :mass])


def test_without_constants_the_wiring_is_as_it_was(layout: Layout, heavier: Layout) -> None:
    for structure in ("dense", "objects"):
        plain, more = make_blocks(layout, structure), make_blocks(heavier, structure)
        assert plain.reads.shape[1] + 1 == more.reads.shape[1]
    assert (
        first_difference(heavier, replace(heavier, constant=()))
        == "columns (16,) are constant in the model, () here"
    )
