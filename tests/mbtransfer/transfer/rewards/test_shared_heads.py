"""Shared reward heads on problems with a known answer, and in the toy model whose hand follows the action."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from mbtransfer.errors import UserError
from mbtransfer.model import Model
from mbtransfer.mpc.controller import Controller
from mbtransfer.mpc.task_reward import TaskReward
from mbtransfer.transfer.method import Sources
from mbtransfer.transfer.rewards.shared_heads import (
    Examples,
    SharedHeads,
    SharedHeadsConfig,
    SharedNet,
    SourceHeads,
    fit_shared,
    last_layer,
)
from tasks.task import Task
from world_models.dynamics.rollout import Imagination

POINT = (0.1, 0.0, 0.5)
OTHERS = ((-0.1, 0.2, 0.6), (0.2, 0.2, 0.5), (0.0, -0.1, 0.4), (-0.2, 0.0, 0.5))
LEARNING = SharedHeadsConfig(combiner="gradnorm", updates=200, batch=32, width=64)


@pytest.fixture
def sources(drifting: Callable[..., Model]) -> Sources:
    """The source tasks are to reach other points."""
    model = drifting()
    return Sources(model, tuple(model.environment.reach(list(point)) for point in OTHERS), 500, 0)


@pytest.fixture
def target(sources: Sources) -> Task:
    return sources.model.environment.reach(list(POINT))


def two_tasks(generator: torch.Generator, scale: float = 1.0) -> list[Examples]:
    """Two curved functions of the same three quantities, one of them in other units; a fourth never varies."""
    x = torch.cat([torch.rand(400, 3, generator=generator), torch.full((400, 1), 7.0)], dim=1)
    first, second = (x[:, 0] - 0.5).abs() + x[:, 2], (x[:, 1] - 0.5).square() - x[:, 0]
    return [Examples(x, first), Examples(x, scale * second)]


def unexplained(net: SharedNet, examples: list[Examples]) -> list[float]:
    """Share of the variance of each task's labels that the net leaves."""
    return [float((net(one.x)[:, k] - one.y).var() / one.y.var()) for k, one in enumerate(examples)]


@pytest.mark.parametrize("name", ["sum", "gradnorm", "uncertainty"])
def test_one_trunk_learns_two_tasks_in_their_own_units(name: str, generator: torch.Generator) -> None:
    examples = two_tasks(generator, scale=1000.0)
    net = fit_shared(examples, replace(LEARNING, combiner=name), 0)
    assert max(unexplained(net, examples)) < 0.05


def test_surgery_learns_two_tasks_too(generator: torch.Generator) -> None:
    pytest.importorskip("torchjd")
    examples = two_tasks(generator)
    assert max(unexplained(fit_shared(examples, replace(LEARNING, combiner="pcgrad"), 0), examples)) < 0.05


def test_balance_saves_the_task_of_the_smaller_scale(generator: torch.Generator) -> None:
    examples = two_tasks(generator, scale=1000**0.5)
    raw = replace(LEARNING, standardised=False, width=2, updates=400, rate=0.01)
    plain, fair = (
        unexplained(fit_shared(examples, replace(raw, combiner=c), 0), examples) for c in ("sum", "gradnorm")
    )
    assert max(fair) < 0.8 * max(plain)


def test_what_never_varied_does_not_count(generator: torch.Generator) -> None:
    examples = two_tasks(generator)
    net = fit_shared(examples, replace(LEARNING, updates=5), 0)
    moved = examples[0].x + torch.tensor([0.0, 0.0, 0.0, 100.0])
    assert torch.equal(net(moved), net(examples[0].x))


def test_a_reward_that_is_linear_in_the_features_is_found_exactly(generator: torch.Generator) -> None:
    net = SharedNet(3, 8, 2)
    x, weight = torch.randn(200, 3, generator=generator), torch.randn(8, generator=generator)
    phi = net.features(x).detach()
    found, bias = last_layer(phi, phi @ weight + 3.0, 1e-12)
    torch.testing.assert_close(phi @ found + bias, phi @ weight + 3.0, atol=1e-3, rtol=0.0)
    torch.testing.assert_close(net.topped(found, bias)(x), phi @ found + bias)


def carried_by(sources: Sources) -> SourceHeads:
    return SharedHeads(training=LEARNING).pretrain(sources)


def test_the_hand_goes_to_a_point_that_no_source_task_asked_for(sources: Sources, target: Task) -> None:
    method = SharedHeads(training=LEARNING)
    carried = method.pretrain(sources)
    before = [weight.clone() for weight in carried.net.parameters()]
    solution = method.solve(carried, target)
    assert all(map(torch.equal, before, carried.net.parameters())), "what is carried must not change"
    assert (solution.costs.labels, solution.costs.steps, solution.costs.pool) == (2500, 0, 1000)
    controller = solution.acts
    assert isinstance(controller, Controller)
    agent, reward = controller.agent(0), TaskReward(controller.rewards([target]), torch.ones(4, 1))
    obs, imagination = sources.model.pool.obs[:4], Imagination(sources.model.dynamics, 1)
    hand = list(sources.model.dynamics.layout.hand.positions)  # type: ignore[union-attr]
    gaps = []
    for _ in range(20):
        gaps.append(float((obs[:, hand] - torch.tensor(POINT)).norm(dim=-1).mean()))
        obs = imagination(obs, agent.act(obs, np.zeros((4, 1)), reward)[:, None]).obs[-1, 0]
    assert gaps[-1] < 0.4 * gaps[0]


def test_the_head_of_a_target_reads_the_trunk(sources: Sources, target: Task) -> None:
    carried = carried_by(sources)
    head = carried.head(target)
    labels = sources.model.label(target, 1000)
    x = Examples.of(sources.model.dynamics.layout, labels).x
    assert head.reward_error < 0.1
    left = (head.reward(x) - labels.reward)[500:]  # none of the labels behind the head
    assert float(left.var() / labels.reward.var()) < 0.1
    again = carried_by(sources).head(target)
    assert torch.equal(head.reward(x), again.reward(x)), "the same seed, the same head"


def test_bad_input_is_refused_before_anything_is_trained(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = SharedHeads(training=LEARNING)
    with pytest.raises(UserError, match="at least one source task"):
        method.pretrain(replace(sources, tasks=()))
    with pytest.raises(UserError, match="at least 10 labels, got 9"):
        method.pretrain(replace(sources, labels=9))
    with pytest.raises(UserError, match="no combiner of gradients 'gradnrom'; did you mean 'gradnorm'"):
        SharedHeadsConfig(combiner="gradnrom")
    monkeypatch.setitem(sys.modules, "torchjd", None)
    with pytest.raises(UserError, match=r"pip install 'mbtransfer\[transfer\]'"):
        SharedHeads(training=replace(LEARNING, combiner="mgda")).pretrain(sources)
