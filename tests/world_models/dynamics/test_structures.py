"""Blocks that share weights, blocks that hear of each other: both learn, and plan as they learned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from world_models.adaptation.adapt import adapt
from world_models.adaptation.weight_transfer import transplant
from world_models.checkpoint.checkpoint import load_dynamics, save_dynamics
from world_models.dynamics.blocks import make_blocks
from world_models.dynamics.ensemble import WIDTH, Attention, EnsembleConfig, EnsembleDynamics, attend
from world_models.dynamics.rollout import Imagination
from world_models.errors import ModelError
from world_models.layout import Layout
from world_models.training.trainer import TrainingConfig, fit
from world_models.transitions import Segments, Transitions
from world_models.uncertainty.forecast import resting_error, rollout_error

Build = Callable[..., EnsembleDynamics]
NEW = pytest.mark.parametrize("structure", ["shared", "attention"])


def scramble(dynamics: EnsembleDynamics) -> EnsembleDynamics:
    """Weights and biases of order one, so that nothing agrees for want of an output."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for value in dynamics.parameters():
            value.copy_(torch.randn(value.shape, generator=generator) / value.shape[-1] ** 0.5)
    return dynamics


@pytest.fixture
def kettle(layout: Layout) -> Layout:
    """The left object has two joints, the right one only one."""
    left, right = layout.objects
    return replace(layout, objects=(replace(left, positions=(3, 4), velocities=(8, 9)), right))


@NEW
@pytest.mark.parametrize("head", ["deterministic", "gaussian"])
def test_it_learns(
    build: Build, train: Transitions, valid: Transitions, segments: Segments, structure: str, head: str
) -> None:
    dynamics = build(structure=structure, head=head, hidden=32)
    for _ in fit(dynamics, train, valid, TrainingConfig(epochs=10, batch=64)):
        pass
    assert bool((rollout_error(dynamics, segments) < 0.6 * resting_error(dynamics, segments)).all())


@NEW
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("gradients", [True, False])
def test_imagination_does_what_forward_says(
    build: Build, segments: Segments, structure: str, layers: int, gradients: bool
) -> None:
    dynamics = scramble(build(members=3, structure=structure, layers=layers))
    dynamics.elites = torch.tensor([2, 0])
    obs, actions = segments.obs[:9, 0], segments.actions[:9].clone().requires_grad_(gradients)
    path = Imagination(dynamics, 2)(obs, actions).particles.detach()
    now = path[0, :1].expand(3, -1, -1)
    step = dynamics(now, actions[:, 0].expand(3, -1, -1)).mean.detach() * dynamics.normalizer.change
    free = slice(5, None)  # of limits
    assert torch.allclose(path[1, ..., free], (now + step)[[2, 0], :, free], atol=1e-5)


@NEW
def test_bfloat16_strays_little(build: Build, segments: Segments, structure: str) -> None:
    dynamics = build(structure=structure)
    ways = [Imagination(dynamics, 2, precision=way) for way in ("float32", "bfloat16")]  # type: ignore[arg-type]
    obs, actions = segments.obs[:9, 0], segments.actions[:9]
    paths = [follow(obs, actions).obs for follow in ways]
    moved = (paths[0][1:] - paths[0][0]).abs().mean()
    assert 0 < float((paths[0] - paths[1]).abs().mean()) < 0.05 * float(moved)
    with_gradients = ways[1](obs, actions.clone().requires_grad_()).obs.detach()
    assert torch.allclose(with_gradients, paths[1], atol=1e-2)


@NEW
def test_a_saved_model_comes_back(
    build: Build, train: Transitions, tmp_path: Path, layout: Layout, structure: str
) -> None:
    dynamics = scramble(build(structure=structure))
    save_dynamics(tmp_path, dynamics)
    found, _ = load_dynamics(tmp_path, expect=layout)
    rows = (train.obs[:5].expand(2, -1, -1), train.actions[:5].expand(2, -1, -1))
    assert torch.equal(found(*rows).mean, dynamics(*rows).mean)


def test_objects_share_all_but_biases_and_gains(build: Build) -> None:
    dynamics, own = build(structure="shared"), build()
    assert [len(weight) for weight in dynamics.weights] == [2 * 2] * 3
    assert [len(bias) for bias in dynamics.biases] == [len(bias) for bias in own.biases] == [2 * 3] * 3
    assert not build().gains and [gain.shape[0] for gain in dynamics.gains] == [2 * 3] * 3
    weights, _ = dynamics.stacked()
    for weight in weights:
        hand, left, right = weight.unflatten(0, (2, 3)).unbind(1)
        assert torch.equal(left, right) and not torch.equal(hand, left)
        assert not torch.equal(left[0], left[1])
    with torch.no_grad():
        dynamics.gains[1][2] = 2.0
    (_, changed, _), _ = dynamics.stacked()
    assert torch.equal(changed[2], 2 * weights[1][1]) and torch.equal(changed[1], weights[1][1])


def test_what_shared_weights_read_and_move_is_of_one_kind(kettle: Layout) -> None:
    """A missing second joint leaves its places empty; all else has the place that it has for others."""
    blocks, zero = make_blocks(kettle, "shared"), int(make_blocks(kettle, "shared").reads.max())
    left, right = blocks.reads[1].tolist(), blocks.reads[2].tolist()
    assert left[:4] == [3, 4, 8, 9] and right[:4] == [4, zero, 9, zero]
    assert [left.index(column) for column in (10, 11, 12)] == [right.index(column) for column in (13, 14, 15)]
    assert left[8:11] == right[8:11] == list(range(zero - 3, zero))  # the action
    assert not blocks.moves[2, [1, 3]].any() and blocks.moves[1, :4].any(dim=1).all()
    assert torch.equal(blocks.unit[1, 7:], blocks.unit[2, 7:])  # the hand


def test_one_object_teaches_the_other(
    build: Build, play: Callable[..., Transitions], valid: Transitions, generator: torch.Generator
) -> None:
    """Both sliders obey one law; the right one is near the hand in a hundred transitions only."""
    data = play(40, 60, 0)
    near = (data.obs[:, 13:16].norm(dim=1) < 0.3).nonzero().flatten()
    stays = torch.ones(len(data), dtype=torch.bool)
    stays[near[torch.randperm(len(near), generator=generator)[100:]]] = False
    missed = {}
    for structure in ("objects", "shared"):
        dynamics = build(structure=structure, hidden=32)
        for _ in fit(dynamics, data[stays], valid, TrainingConfig(epochs=12, batch=64)):
            pass
        mean = dynamics(valid.obs.expand(2, -1, -1), valid.actions.expand(2, -1, -1)).mean.detach()
        truth = (valid.next_obs - valid.obs)[:, 4]
        error = mean[..., 4] * dynamics.normalizer.change[4] - truth
        missed[structure] = float(error.square().mean() / truth.square().mean())
    assert missed["shared"] < 0.75 * missed["objects"]


def test_only_with_attention_do_objects_hear_of_each_other(
    build: Build, still: Callable[..., Tensor]
) -> None:
    obs = still(torch.zeros(1, 3), torch.zeros(1, 2))
    pushed = still(torch.zeros(1, 3), torch.tensor([[0.0, 0.05]]))
    for structure, hears in (("objects", False), ("shared", False), ("attention", True)):
        dynamics = scramble(build(structure=structure))
        action = torch.zeros(2, 1, 3)
        left = [dynamics(o.expand(2, -1, -1), action).mean[..., 3] for o in (obs, pushed)]
        assert torch.equal(left[0], left[1]) is not hears


def test_attention_is_that_of_the_paper(generator: torch.Generator) -> None:
    attention = Attention(members=2, hidden=6, generator=generator)
    x = torch.randn(2 * 4, 6, 5, generator=generator)
    tokens = x.unflatten(0, (2, 4)).permute(0, 3, 1, 2)  # E R K h
    query, key, value = (tokens @ attention.ask.transpose(1, 2)[:, None]).split(WIDTH, dim=-1)
    heard = torch.nn.functional.scaled_dot_product_attention(query, key, value)
    expected = tokens + heard @ attention.answer.transpose(1, 2)[:, None]
    found = attend(x, attention.ask, attention.answer).unflatten(0, (2, 4)).permute(0, 3, 1, 2)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@NEW
def test_it_cannot_be_adapted(build: Build, train: Transitions, structure: str) -> None:
    with pytest.raises(ModelError, match=f"structure {structure} cannot be adapted.*objects, dense"):
        adapt(build(structure=structure), train, train, train)


@pytest.mark.parametrize("structure", ["shared", "attention", "dense"])
def test_nothing_is_transplanted_into_it(build: Build, train: Transitions, structure: str) -> None:
    with pytest.raises(ModelError, match=f"transplanted.*{structure}"):
        transplant(build(structure=structure), train, 0)


@pytest.mark.parametrize("structure", ["objects", "shared", "attention"])
def test_joints_need_no_limits(layout: Layout, train: Transitions, structure: str) -> None:
    free = replace(layout, limited=(False,) * layout.obs_size)
    dynamics = EnsembleDynamics(free, EnsembleConfig(members=2, hidden=8, structure=structure))
    mean = dynamics(train.obs[:4].expand(2, -1, -1), train.actions[:4].expand(2, -1, -1)).mean
    assert bool(mean.isfinite().all())
    with pytest.raises(ModelError, match="transplanted"):
        transplant(dynamics, train, 0)
