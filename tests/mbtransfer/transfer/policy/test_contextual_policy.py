"""One policy of several tasks: it goes to points that it was never trained for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from mbtransfer.errors import UserError
from mbtransfer.mpc.task_policy import Actor
from mbtransfer.training.policy.actor_critic import PolicyTrainingConfig, scaled
from mbtransfer.transfer.method import Sources, parameters
from mbtransfer.transfer.policy.contextual_policy import Carried, ContextualPolicy, joint_reward
from tasks.task import Task
from world_models.dynamics.rollout import Imagination

POINTS = [(x, 0.0, z) for x in (-0.4, 0.4) for z in (0.3, 0.8)]
NEW = (0.1, 0.0, 0.5)
LABELS = 300
TRAINING = PolicyTrainingConfig(horizon=4, discount=0.9)
METHOD = ContextualPolicy(updates=100, rows=8, training=TRAINING)
Policy = Callable[[torch.Tensor], torch.Tensor]


@pytest.fixture(scope="module")
def sources() -> Sources:
    """In this model the hand follows the action exactly; the source tasks are to reach four points."""
    from tests.mbtransfer.conftest import _drifting

    model = _drifting()
    return Sources(model, tuple(model.environment.reach(list(point)) for point in POINTS), LABELS, 0)


@pytest.fixture(scope="module")
def target(sources: Sources) -> Task:
    return sources.model.environment.reach(list(NEW))


def reached(sources: Sources, policy: Policy, point: tuple[float, float, float]) -> tuple[float, float]:
    """Mean distance of the hand to a point before and after twenty imagined steps."""
    hand = list(sources.model.dynamics.layout.hand.positions)  # type: ignore[union-attr]
    obs, imagination = sources.model.pool.obs[:100], Imagination(sources.model.dynamics, 1)
    path = [obs]
    for _ in range(20):
        path.append(imagination(path[-1], policy(path[-1])[:, None]).obs[-1, 0])
    before, after = ((x[:, hand] - torch.tensor(point)).norm(dim=1).mean() for x in (path[0], path[-1]))
    return float(before), float(after)


@pytest.mark.parametrize(
    ("context", "trunk"),
    [("metadata", "mlp"), ("metadata", "soft_modules"), ("label_vector", "mlp")],
)
@pytest.mark.slow
def test_it_goes_to_a_point_that_it_was_never_trained_for(
    sources: Sources, target: Task, context: str, trunk: str
) -> None:
    method = replace(METHOD, context=context, trunk=trunk)
    carried = method.pretrain(sources)
    weights = [weight.clone() for weight in carried.actor.state_dict().values()]
    solution = method.solve(carried, target)
    before, after = reached(sources, solution.acts, NEW)  # type: ignore[arg-type]
    assert after < 0.5 * before
    # the nearest point of a source task is no answer: the context must say where
    others = [reached(sources, told(method, carried, task), NEW)[1] for task in sources.tasks]
    assert after < min(others)
    assert all(map(torch.equal, weights, carried.actor.state_dict().values())), (
        "what is carried must not change"
    )
    labels = {"metadata": LABELS * len(POINTS), "label_vector": LABELS * (len(POINTS) + 1)}
    assert (solution.costs.labels, solution.costs.steps, solution.costs.pool) == (labels[context], 0, 1000)
    assert solution.costs.parameters == parameters(carried.actor)


def told(method: ContextualPolicy, carried: Carried, task: Task) -> Any:
    """The policy in a source task."""
    return method.solve(carried, task).acts


@pytest.mark.parametrize("context", ["one_hot", "embedding"])
def test_without_a_context_of_its_own_it_is_that_of_the_nearest_source_task(
    sources: Sources, target: Task, context: str
) -> None:
    method = replace(METHOD, context=context, updates=3)
    carried = method.pretrain(sources)
    solution, obs = method.solve(carried, target), sources.model.pool.obs[:20]
    same = [torch.equal(solution.acts(obs), told(method, carried, task)(obs)) for task in sources.tasks]  # type: ignore[operator]
    assert sum(same) == 1
    size = len(POINTS) if context == "one_hot" else carried.actor.table.shape[1]
    plain = parameters(Actor(obs.shape[1] + size, 4))
    learned = 0 if context == "one_hot" else carried.actor.table.numel()
    assert solution.costs.parameters == plain + learned
    table = carried.contexts.table
    assert torch.equal(carried.actor.table, table) == (context == "one_hot"), "an embedding is learned"


def test_each_row_has_the_reward_of_its_task(sources: Sources) -> None:
    model, count = sources.model, len(POINTS)
    obs, action = model.pool.obs[: 3 * count], model.pool.actions[: 3 * count]
    ahead = model.pool.obs[3 * count : 6 * count].clone().requires_grad_()
    found = joint_reward(sources)(obs, action, ahead)
    alone = model.rewards(sources.tasks, LABELS).reward(obs, action, ahead)
    for k, task in enumerate(sources.tasks):
        labels, rows = model.label(task, LABELS).reward, slice(3 * k, 3 * k + 3)
        expected = scaled(alone[rows, k], (float(labels.min()), float(labels.max())))
        torch.testing.assert_close(found[rows], expected)
    (slope,) = torch.autograd.grad(found.sum(), ahead)
    assert bool(slope.isfinite().all()) and bool(slope.any())


def test_the_same_seed_gives_the_same(sources: Sources, target: Task) -> None:
    method, obs = replace(METHOD, updates=2), sources.model.pool.obs[:5]
    a, b, c = (
        method.solve(method.pretrain(replace(sources, seed=seed)), target).acts(obs)  # type: ignore[operator]
        for seed in (0, 0, 1)
    )
    assert torch.equal(a, b) and not torch.equal(a, c)


def test_mistakes_are_named_before_anything_is_trained(sources: Sources) -> None:
    with pytest.raises(UserError, match=r"no context 'metadate'.*metadata"):
        ContextualPolicy(context="metadate").pretrain(sources)
    with pytest.raises(UserError, match="no trunk 'soft'"):
        ContextualPolicy(trunk="soft").pretrain(sources)
    with pytest.raises(UserError, match="at least one source task"):
        ContextualPolicy().pretrain(replace(sources, tasks=()))
