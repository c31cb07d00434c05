from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from world_models.dynamics.blocks import BENT, Features, make_blocks
from world_models.dynamics.ensemble import EnsembleConfig, EnsembleDynamics
from world_models.dynamics.features import Scales, features
from world_models.dynamics.rollout import Imagination
from world_models.errors import ModelError
from world_models.layout import Layout

Build = Callable[..., EnsembleDynamics]


def scramble(dynamics: EnsembleDynamics, generator: torch.Generator) -> None:
    """Weights that make every output of order one: what holds now is not for want of an output."""
    with torch.no_grad():
        for value in dynamics.parameters():
            value.copy_(torch.randn(value.shape, generator=generator) / value.shape[-1] ** 0.5)


def test_one_block_per_body(layout: Layout) -> None:
    blocks = make_blocks(layout, "objects")
    assert len(blocks.reads) == len(blocks.moves) == len(blocks.unit) == 3


def test_dense_is_one_block_that_reads_and_moves_all(layout: Layout) -> None:
    blocks = make_blocks(layout, "dense")
    assert blocks.reads.tolist() == [list(range(Features.of(layout).zero))]
    assert torch.equal(blocks.moves[0], torch.eye(layout.obs_size))


def test_an_object_does_not_read_or_move_another(layout: Layout) -> None:
    blocks = make_blocks(layout, "objects")
    left, right = layout.objects
    others = {*right.positions, *right.velocities, *right.vector}
    assert not others & set(blocks.reads[1].tolist())
    # The vector to the other handle does move: by contact the object pushes the hand.
    assert not blocks.moves[1][:, [*right.positions, *right.velocities]].any()
    assert blocks.moves[1][:, list(left.positions)].any()


def test_hand_and_handles_stay_consistent_over_a_rollout(
    build: Build, still: Callable[..., Tensor], layout: Layout, generator: torch.Generator
) -> None:
    dynamics = build()
    scramble(dynamics, generator)
    with torch.no_grad():
        for k in (1, 2):  # no handle moves: the vectors to them may only change by what the hand moves
            rows = torch.arange(dynamics.config.members) * dynamics.blocks + k
            dynamics.weights[-1][rows, 2:5] = 0
            dynamics.biases[-1][rows, 2:5] = 0
    dynamics.normalizer.change[:3] = 1e-3  # so slow that no limit is met
    obs = still(torch.rand(8, 3, generator=generator) * 0.2, torch.zeros(8, 2))
    actions = torch.randn(8, 12, 3, generator=generator).clamp(-1, 1)
    path = Imagination(dynamics, 2)(obs, actions, generator).obs
    moved = path[1:] - path[:-1]
    assert moved[..., :3].abs().min() > 0
    for body in layout.objects:
        assert torch.allclose(moved[..., list(body.vector)], -moved[..., :3], atol=1e-6)


def test_a_vector_changes_by_handle_minus_hand(
    build: Build, still: Callable[..., Tensor], generator: torch.Generator
) -> None:
    dynamics = build()
    scramble(dynamics, generator)
    moves = dynamics.moves.unflatten(0, (dynamics.blocks, dynamics.outputs))
    out = torch.randn(dynamics.blocks, dynamics.outputs, generator=generator)
    change = torch.einsum("ky,kyo->o", out, moves)
    for k, vector in ((1, slice(10, 13)), (2, slice(13, 16))):
        handle = out[k, 2:5] * dynamics.normalizer.change[vector]
        assert torch.allclose(change[vector], handle - change[:3], atol=1e-6)


@pytest.mark.parametrize("head", ["deterministic", "gaussian"])
def test_an_unmoved_far_object_stays(
    build: Build, still: Callable[..., Tensor], generator: torch.Generator, head: str
) -> None:
    dynamics = build(head=head)
    scramble(dynamics, generator)
    obs = still(torch.tensor([[-0.4, 0.0, 0.0]]), torch.zeros(1, 2))
    # 0.15 m from the left handle, 0.65 m from the right one, and so slow that it stays there.
    dynamics.normalizer.change[[0, 1, 2]] = 1e-5
    path = Imagination(dynamics, 2)(obs, torch.zeros(1, 3, 3), generator).obs
    left, right = path[1:, ..., [3, 8]] - obs[0, [3, 8]], path[1:, ..., [4, 9]] - obs[0, [4, 9]]
    assert left.abs().max() > 0.001
    assert right.abs().max() < 1e-3 * left.abs().max()


def test_an_unknown_structure_is_refused(layout: Layout) -> None:
    with pytest.raises(ModelError, match=r"'sparse'.*objects, shared, attention, dense"):
        make_blocks(layout, "sparse")


def test_objects_need_a_hand(layout: Layout) -> None:
    with pytest.raises(ModelError, match="structure dense"):
        make_blocks(replace(layout, hand=None, objects=()), "objects")


def test_dense_needs_no_bodies(layout: Layout) -> None:
    blocks = make_blocks(replace(layout, hand=None, objects=()), "dense")
    assert blocks.moves.shape == (1, 16, 16)


def test_vectors_are_read_as_they_lie_in_a_hand_that_turns(
    layout: Layout, generator: torch.Generator
) -> None:
    """Hand and room turned alike look the same from the hand."""
    axes = tuple(range(layout.obs_size, layout.obs_size + 9))
    more = tuple(f"axis_{own}{room}" for own in "xyz" for room in "xyz")
    turning = replace(
        layout, columns=layout.columns + more, low=layout.low + (-1.0,) * 9, high=layout.high + (1.0,) * 9,
        limited=layout.limited + (False,) * 9, axes=axes,
    )  # fmt: skip
    at, block = Features.of(turning), make_blocks(turning, "objects")
    assert set(range(at.held, at.held + 3)) <= set(block.reads[1].tolist())
    turn = torch.linalg.qr(torch.randn(3, 3, generator=generator)).Q
    vector = 0.1 * torch.randn(1, 3, generator=generator)
    seen = []
    for rotation in (torch.eye(3), turn):
        obs = torch.zeros(1, turning.obs_size)
        obs[:, list(turning.objects[0].vector)] = vector @ rotation.T
        obs[:, list(axes)] = rotation.T.reshape(1, 9)  # row k is the hand's axis k
        scales = Scales.of(turning, EnsembleDynamics(turning, EnsembleConfig(members=1)).normalizer)
        read, _ = features(turning, scales, obs.T[None], torch.zeros(1, turning.action_size, 1))
        seen.append(read[0, at.held : at.held + 3, 0])
    torch.testing.assert_close(seen[0], torch.tanh(vector[0] / BENT))
    torch.testing.assert_close(seen[1], seen[0])
