"""Hard modules: which ones a task takes, and a pair that was never trained together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from mbtransfer.errors import UserError
from mbtransfer.mpc.task_policy import Scaled
from mbtransfer.training.policy.actor_critic import PolicyTrainingConfig
from mbtransfer.transfer.method import Sources
from mbtransfer.transfer.policy.context import ObjectGoal
from mbtransfer.transfer.policy.contextual_policy import ContextualPolicy
from mbtransfer.transfer.policy.hard_modules import HardModules

THINGS, KINDS = 4, 4


def trained(network: nn.Module, x: Tensor, y: Tensor) -> nn.Module:
    """The network after a short regression."""
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(400):
        loss = (network(x) - y).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network


@pytest.mark.slow
def test_a_pair_that_was_never_trained_together_is_right() -> None:
    # kind k asks for an amount, and each thing has a direction of its own
    generator = torch.Generator().manual_seed(0)
    obs = torch.randn(2000, THINGS, generator=generator)
    thing, kind = (torch.randint(n, (2000,), generator=generator) for n in (THINGS, KINDS))
    turn, amount = 0.5 * torch.pi * thing, kind[:, None] - 1.5
    y = torch.stack([turn.cos(), turn.sin()], dim=1) * amount * (1.0 + 0.2 * obs[:, :1])
    told = [nn.functional.one_hot(thing, THINGS), nn.functional.one_hot(kind, KINDS)]
    x = torch.cat([obs, *told, torch.zeros(2000, 1)], dim=1)
    never = (thing == THINGS - 1) & (kind == 2)
    errors = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for network in (HardModules(THINGS, 2, torch.arange(THINGS), KINDS, 32), Scaled(x.shape[1], 2)):
            found = trained(
                network if isinstance(network, HardModules) else network.layers, x[~never], y[~never]
            )
            errors.append(float((found(x[never]) - y[never]).square().mean().detach()))
    assert errors[0] < 0.3 * float(y.square().mean()), "the pair is what its parts are elsewhere"
    assert errors[0] < errors[1], "a plain network has learned the pairs, not the parts"


def test_each_row_is_that_of_its_two_modules() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network, x = HardModules(5, 2, torch.tensor([1, 3]), 3, 8), torch.randn(2, 6, 11)
        x[..., 5:10] = 0.0
    thing, kind = torch.tensor([0, 1, 0, 1, 0, 1]), torch.tensor([0, 1, 2, 2, 1, 0])
    for row in range(6):
        x[:, row, 5 + thing[row]] = x[:, row, 7 + kind[row]] = 0.4
    found = network(x)
    for row in range(6):
        own, place = x[1, row, :5], x[1, row, -1:]
        says = network.of_goal[kind[row]](torch.cat([own[[1, 3][thing[row]]][None], place]))
        expected = network.of_thing[thing[row]](torch.cat([own, says]))
        torch.testing.assert_close(found[1, row], expected)


@pytest.fixture
def sources(drifting: Callable[..., object]) -> Sources:
    model = drifting()
    environment = model.environment  # type: ignore[attr-defined]
    names = ("drawer_open", "drawer_close", "tap_open", "microwave_close")
    return Sources(model, tuple(map(environment.task, names)), 500, 0)  # type: ignore[arg-type]


def test_labels_tell_what_is_moved_and_where_to(sources: Sources) -> None:
    contexts, spec = ObjectGoal(sources), sources.model.environment.spec
    names = [spec.observation[column].name for column in contexts.positions.tolist()]
    assert names == ["microwave", "drawer", "tap"]
    assert len(contexts.kinds) == 2 and contexts.table.shape == (4, 3 + 2 + 1)
    assert contexts.table[:, :5].tolist() == [
        [0, 1, 0, 0, 1], [0, 1, 0, 1, 0], [0, 0, 1, 0, 1], [1, 0, 0, 1, 0],
    ]  # fmt: skip
    for task, row in zip(sources.tasks, contexts.table, strict=True):
        torch.testing.assert_close(contexts.of(task, contexts.table), row)
    new = contexts.of(sources.model.environment.task("tap_close"), contexts.table)
    assert new[:5].tolist() == [0, 0, 1, 1, 0], "a pair that no source task has"
    half = contexts.of(sources.model.environment.task("drawer_half"), contexts.table)
    assert contexts.table[1, -1] < half[-1] < contexts.table[0, -1]


def test_what_no_source_task_moves_is_refused(sources: Sources) -> None:
    contexts = ObjectGoal(sources)
    with pytest.raises(UserError, match="moves slide_cabinet, and source tasks move microwave, drawer, tap"):
        contexts.of(sources.model.environment.task("slide_cabinet_open"), contexts.table)
    reach = sources.model.environment.reach([0.1, 0.0, 0.5])
    with pytest.raises(UserError, match="moves no object"):
        ObjectGoal(replace(sources, tasks=(reach,)))


def test_it_is_a_trunk_of_the_contextual_policy(sources: Sources) -> None:
    training = PolicyTrainingConfig(horizon=2)
    method = ContextualPolicy("object_goal", "hard_modules", updates=2, rows=2, training=training)
    carried, obs = method.pretrain(sources), sources.model.pool.obs[:5]
    found = [
        method.solve(carried, sources.model.environment.task(name)).acts(obs)  # type: ignore[operator]
        for name in ("tap_open", "tap_close", "drawer_close")
    ]
    assert not torch.equal(found[0], found[1]) and not torch.equal(found[1], found[2])
    with pytest.raises(UserError, match="needs the context object_goal"):
        ContextualPolicy(trunk="hard_modules").pretrain(sources)
