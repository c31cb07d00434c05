"""A block carried to another object, turned and mirrored, predicts exactly the turned and mirrored world."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product

import pytest
import torch
from torch import Tensor

from world_models.adaptation.weight_transfer import AxisSymmetry, _grafted, _parameters, grafts, transplant
from world_models.dynamics.ensemble import EnsembleConfig, EnsembleDynamics
from world_models.layout import Layout
from world_models.transitions import Transitions

FAR = 3.0
"""Where an object is that takes no part (m): no block feels the hand over there."""


@pytest.fixture
def driven(layout: Layout) -> Layout:
    """The toy world, its three actions known to drive the hand along x, y and z."""
    return replace(layout, hand_actions=(0, 1, 2))


def random_model(layout: Layout, seed: int = 0, members: int = 2) -> EnsembleDynamics:
    """Random blocks for the objects, none for the hand, and a normaliser such as data leave it."""
    generator = torch.Generator().manual_seed(seed)
    dynamics = EnsembleDynamics(layout, EnsembleConfig(members=members, hidden=16), generator)
    normalizer = dynamics.normalizer
    free = ~torch.tensor(layout.limited)
    with torch.no_grad():
        for name in ("centre", "scale"):
            value = getattr(normalizer, name)
            random = torch.rand(value.shape, generator=generator)
            value[free] = (0.3 * (random - 0.5) if name == "centre" else 0.1 + 0.5 * random)[free]
        normalizer.change.copy_(0.02 + 0.1 * torch.rand(normalizer.change.shape, generator=generator))
        normalizer.change[4] = normalizer.change[3]  # joints whose ends are felt alike
        for bias in dynamics.biases:
            bias.copy_(0.3 * torch.randn(bias.shape, generator=generator))
        for parameter in (dynamics.weights[-1], dynamics.biases[-1]):
            parameter[torch.arange(members) * dynamics.blocks] = 0.0  # the hand's own block
    return dynamics


def turn(vector: Tensor, graft: AxisSymmetry) -> Tensor:
    """A vector of the donor's world as it lies in the target's."""
    return vector[:, list(graft.axes)] * torch.tensor(graft.signs, dtype=torch.float32)


def scenes(
    rows: int, graft: AxisSymmetry, seed: int = 1
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Observations and actions with the hand near A, and the same turned with the hand near B."""
    generator = torch.Generator().manual_seed(seed)
    uniform = 2 * torch.rand(rows, 16, generator=generator) - 1
    vector, speed, action = 0.15 * uniform[:, :3], 0.1 * uniform[:, 3:6], uniform[:, 6:9]
    slide, slide_v = 0.1 * uniform[:, 9:10], 0.1 * uniform[:, 10:11]
    elsewhere, rest = 0.5 * uniform[:, 11:14], torch.zeros(rows, 1)
    away = torch.full((rows, 3), FAR)
    joint = float(graft.joint)
    a = torch.cat([elsewhere, slide, rest, speed, slide_v, rest, vector, away], dim=1)
    b = torch.cat(
        [
            -elsewhere,
            rest,
            joint * slide,
            turn(speed, graft),
            rest,
            joint * slide_v,
            away,
            turn(vector, graft),
        ],
        dim=1,
    )
    return (a, action), (b, turn(action, graft))


def change(dynamics: EnsembleDynamics, obs: Tensor, action: Tensor) -> Tensor:
    """What each member expects of a step, in the columns' units: [E, B, O]."""
    members = dynamics.config.members
    mean = dynamics(obs.expand(members, -1, -1), action.expand(members, -1, -1)).mean
    return mean.detach() * dynamics.normalizer.change


def put(dynamics: EnsembleDynamics, target: int, graft: AxisSymmetry) -> None:
    rows = torch.arange(dynamics.config.members) * dynamics.blocks + 1 + target
    with torch.no_grad():
        for parameter, value in zip(_parameters(dynamics), _grafted(dynamics, target, graft), strict=True):
            parameter[rows] = value


TURNS = [
    AxisSymmetry(0, (0, 1, 2), (1, 1, 1), 1),
    AxisSymmetry(0, (0, 1, 2), (1, 1, 1), -1),
    AxisSymmetry(0, (1, 0, 2), (1, 1, 1), 1),
    AxisSymmetry(0, (2, 0, 1), (1, -1, -1), -1),
    AxisSymmetry(0, (1, 2, 0), (-1, 1, -1), 1),
    AxisSymmetry(0, (0, 2, 1), (-1, -1, -1), -1),
]


@pytest.mark.parametrize("graft", TURNS, ids=str)
def test_a_graft_predicts_the_turned_world_exactly(driven: Layout, graft: AxisSymmetry) -> None:
    dynamics = random_model(driven)
    put(dynamics, 1, graft)
    (obs_a, action_a), (obs_b, action_b) = scenes(200, graft)
    of_a, of_b = change(dynamics, obs_a, action_a), change(dynamics, obs_b, action_b)
    assert of_a[..., 3].std() > 0.01  # A's block says something
    joint = graft.joint
    for ours, theirs, sign in ((4, 3, joint), (9, 8, joint)):
        torch.testing.assert_close(of_b[..., ours], sign * of_a[..., theirs], atol=1e-5, rtol=1e-4)
    for ours, theirs in (((13, 14, 15), (10, 11, 12)), ((0, 1, 2), (0, 1, 2)), ((5, 6, 7), (5, 6, 7))):
        expected = turn(of_a[..., list(theirs)].flatten(0, 1), graft)
        torch.testing.assert_close(of_b[..., list(ours)].flatten(0, 1), expected, atol=1e-5, rtol=1e-4)


def test_a_wrong_turn_predicts_something_else(driven: Layout) -> None:
    graft, wrong = TURNS[3], TURNS[4]
    dynamics = random_model(driven)
    put(dynamics, 1, wrong)
    (obs_a, action_a), (obs_b, action_b) = scenes(200, graft)
    gap = change(dynamics, obs_b, action_b)[..., 4] - graft.joint * change(dynamics, obs_a, action_a)[..., 3]
    assert gap.abs().mean() > 0.01


def test_the_graft_of_an_object_onto_itself_changes_no_bit(driven: Layout) -> None:
    dynamics = random_model(driven)
    still = next(grafts(driven, 1))
    assert still == AxisSymmetry(1, (0, 1, 2), (1, 1, 1), 1)
    rows = torch.arange(2) * dynamics.blocks + 2
    for parameter, value in zip(_parameters(dynamics), _grafted(dynamics, 1, still), strict=True):
        torch.testing.assert_close(parameter[rows].detach(), value.detach(), atol=0, rtol=0)


def test_all_turns_are_tried_where_the_actions_axes_are_known(driven: Layout, layout: Layout) -> None:
    tried = list(grafts(driven, 0))
    assert len(tried) == 1 + 2 * 6 * 8 * 2
    every = {AxisSymmetry(1, axes, signs, joint) for axes in permutations(range(3))
             for signs in product((1, -1), repeat=3) for joint in (1, -1)}  # fmt: skip
    assert every <= set(tried)
    assert [graft.donor for graft in grafts(layout, 0)] == [0, 0, 1]


def test_only_objects_with_as_many_joints_are_donors(driven: Layout) -> None:
    left, right = driven.objects
    double = replace(right, positions=(4, 3), velocities=(9, 8))
    assert {graft.donor for graft in grafts(replace(driven, objects=(left, double)), 0)} == {0}


@pytest.mark.parametrize("graft", TURNS[1:4], ids=str)
def test_transplant_finds_the_turn_that_the_data_show(driven: Layout, graft: AxisSymmetry) -> None:
    teacher = random_model(driven, members=1)
    put(teacher, 1, graft)
    _, (obs, action) = scenes(150, graft)
    new = Transitions(obs, action, obs + change(teacher, obs, action)[0])
    student = random_model(driven, members=1)
    before = [parameter.detach().clone() for parameter in _parameters(student)]
    assert transplant(student, new, 1) == graft.describe(driven)
    torch.testing.assert_close(
        change(student, obs, action), change(teacher, obs, action), atol=1e-5, rtol=1e-4
    )
    for parameter, value in zip(_parameters(student), before, strict=True):
        assert torch.equal(parameter[:2], value[:2])  # the hand's and the donor's blocks


def test_transplant_leaves_a_block_that_fits(driven: Layout) -> None:
    dynamics = random_model(driven, members=1)
    _, (obs, action) = scenes(150, TURNS[0])
    new = Transitions(obs, action, obs + change(dynamics, obs, action)[0])
    before = [parameter.detach().clone() for parameter in _parameters(dynamics)]
    assert transplant(dynamics, new, 1) == "right(+x +y +z)"
    assert all(torch.equal(p, b) for p, b in zip(_parameters(dynamics), before, strict=True))


def test_a_graft_in_words(driven: Layout) -> None:
    assert AxisSymmetry(0, (2, 0, 1), (1, -1, -1), -1).describe(driven) == "left(+z -x -y, reversed)"
