"""A policy that labels alone tell where to go, learned from random pushes of a point."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mbtransfer.errors import UserError
from mbtransfer.transfer.method import Sources, parameters
from mbtransfer.transfer.policy.context_encoder import ContextEncoder, LabelledPool, Posterior
from mbtransfer.transfer.policy.pearl import PEARL, LatentActor, PEARLConfig
from tests.mbtransfer.transfer.point_world import arrived, go, point_model

GOALS = tuple(go(x, y) for x in (-0.7, 0.0, 0.7) for y in (-0.7, 0.0, 0.7))
NEW = go(-0.35, 0.4, "held_out")
LABELS = 500
LEARNING = PEARLConfig(updates=450, batch=16, context=32, discount=0.7, rate=3e-3, follow=0.05)


@pytest.fixture(scope="module")
def sources() -> Sources:
    return Sources(point_model(), GOALS, LABELS, 0)


@pytest.fixture
def encoder(sources: Sources) -> ContextEncoder:
    torch.manual_seed(0)
    return ContextEncoder(sources.model.pool, 3)


def labelled(sources: Sources) -> LabelledPool:
    return LabelledPool.of([sources.model.label(task, LABELS) for task in GOALS[:2]])


def test_a_context_is_a_product_of_its_transitions(sources: Sources, encoder: ContextEncoder) -> None:
    two = LabelledPool(*(x[:, :2] for x in vars(labelled(sources)).values()))
    each = [LabelledPool(*(x[:, k : k + 1] for x in vars(two).values())).posterior(encoder) for k in range(2)]
    both = two.posterior(encoder)
    precision = sum(one.variance.reciprocal() for one in each)
    torch.testing.assert_close(both.variance, 1.0 / precision)
    mean = sum(one.mean / one.variance for one in each) / precision
    torch.testing.assert_close(both.mean, mean)
    turned = LabelledPool(*(x.flip(1) for x in vars(two).values())).posterior(encoder)
    torch.testing.assert_close(turned.mean, both.mean)


def test_the_divergence_is_that_of_normal_distributions() -> None:
    mean, variance = torch.tensor([[0.0, 0.0], [1.0, -2.0]]), torch.tensor([[1.0, 1.0], [0.5, 3.0]])
    ours, prior = (
        torch.distributions.Normal(m, v.sqrt())
        for m, v in ((mean, variance), (torch.zeros(2), torch.ones(2)))
    )
    expected = torch.distributions.kl_divergence(ours, prior).sum(dim=1)
    torch.testing.assert_close(Posterior(mean, variance).divergence(), expected)
    assert float(expected[0]) == 0.0


def test_rewards_are_scaled_in_each_task(sources: Sources) -> None:
    pool = labelled(sources)
    assert pool.reward.amin(dim=1).tolist() == [0.0, 0.0] and pool.reward.amax(dim=1).tolist() == [1.0, 1.0]
    torch.testing.assert_close(pool.scaled.mean(dim=1), torch.zeros(2), atol=1e-4, rtol=0.0)
    some = pool.draw(7)
    assert some.obs.shape == (2, 7, 2)
    away = (some.next_obs - torch.tensor([[[GOALS[0].x, GOALS[0].y]], [[GOALS[1].x, GOALS[1].y]]])).norm(
        dim=-1
    )
    assert torch.equal(away.argsort(dim=1), some.reward.argsort(dim=1, descending=True)), "its own rewards"


def test_a_drawn_action_has_its_own_probability(sources: Sources) -> None:
    torch.manual_seed(1)
    actor, obs, z = LatentActor(sources.model.pool, 2), sources.model.pool.obs[:50], torch.zeros(50, 2)
    with torch.no_grad():
        action, found = actor.draw(obs, z)
        mean, raw = actor.net.read(torch.cat([obs, z], dim=1)).chunk(2, dim=1)
    squash = torch.distributions.TanhTransform(cache_size=1)
    squashed = torch.distributions.TransformedDistribution(
        torch.distributions.Normal(mean, raw.exp()), squash
    )
    torch.testing.assert_close(found, squashed.log_prob(action).sum(dim=1), atol=1e-3, rtol=1e-3)


@pytest.mark.slow
def test_labels_alone_tell_it_where_to_go(sources: Sources) -> None:
    method = PEARL(LEARNING)
    carried = method.pretrain(sources)
    weights = [x.clone() for net in (carried.actor, carried.encoder) for x in net.state_dict().values()]
    solution = method.solve(carried, NEW)
    assert arrived(sources.model, solution, NEW) >= 0.8
    # what another task's labels say is no answer
    elsewhere = method.solve(carried, GOALS[-1])
    assert arrived(sources.model, elsewhere, NEW) < 0.5
    now = [x for net in (carried.actor, carried.encoder) for x in net.state_dict().values()]
    assert all(map(torch.equal, weights, now)), "what is carried must not change"
    costs = solution.costs
    assert (costs.steps, costs.labels) == (0, LABELS * (len(GOALS) + 1))
    assert LABELS < costs.pool <= len(sources.model.pool) and costs.parameters == parameters(carried.actor)


def test_the_same_seed_gives_the_same(sources: Sources) -> None:
    method, obs = PEARL(replace(LEARNING, updates=2)), sources.model.pool.obs[:5]
    state = torch.get_rng_state()
    a, b, c = (
        method.solve(method.pretrain(replace(sources, seed=seed)), NEW).acts(obs)  # type: ignore[operator]
        for seed in (0, 0, 1)
    )
    assert torch.equal(a, b) and not torch.equal(a, c)
    assert torch.equal(state, torch.get_rng_state())


def test_few_labels_are_one_context(sources: Sources) -> None:
    few = replace(sources, labels=20)
    method = PEARL(replace(LEARNING, updates=1))
    solution = method.solve(method.pretrain(few), NEW)
    assert bool(solution.acts(sources.model.pool.obs[:3]).isfinite().all())  # type: ignore[operator]


def test_it_needs_source_tasks(sources: Sources) -> None:
    with pytest.raises(UserError, match="at least one source task"):
        PEARL().pretrain(replace(sources, tasks=()))
