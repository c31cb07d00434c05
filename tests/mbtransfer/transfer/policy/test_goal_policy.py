"""One policy of all goals: hindsight on a hand that follows the action exactly."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mbtransfer.errors import UserError
from mbtransfer.mpc.agent import action_bounds
from mbtransfer.training.policy.actor_critic import PolicyTrainingConfig
from mbtransfer.transfer.method import Sources
from mbtransfer.transfer.policy.goal_policy import Carried, GoalPolicy, GoalTrainer, Pursuit
from tasks.registry import make
from world_models.dynamics.rollout import Imagination

METHOD = GoalPolicy(updates=120, training=PolicyTrainingConfig(horizon=4, discount=0.9, rows=30))


@pytest.fixture(scope="module")
def sources() -> Sources:
    from tests.mbtransfer.conftest import _drifting

    return Sources(_drifting(), (), 1000, 0)


def hand_goals(carried: Carried) -> tuple[torch.Tensor, torch.Tensor]:
    """States, and the places of the hand in others as goals."""
    pool, space = carried.sources.model.pool.obs, carried.space
    chosen = torch.zeros(200, len(space.groups))
    chosen[:, 0] = 1.0
    return pool[:200], space.towards(pool[200:400], chosen)


def reached(carried: Carried) -> float:
    """Share of goals of the hand that are reached in twenty-five imagined steps."""
    obs, goal = hand_goals(carried)
    policy, imagination = carried.policy(goal), Imagination(carried.sources.model.dynamics, 1)
    for _ in range(25):
        obs = imagination(obs, policy(obs)[:, None]).obs[-1, 0]
    return float(carried.space.reached(obs, goal).float().mean())


@pytest.mark.slow
def test_it_reaches_goals_that_other_states_hold_and_hindsight_helps(sources: Sources) -> None:
    carried = METHOD.pretrain(sources)
    weights = [weight.clone() for weight in carried.actor.state_dict().values()]
    with_hindsight = reached(carried)
    assert with_hindsight > 0.8
    assert with_hindsight > reached(replace(METHOD, hindsight=0.0).pretrain(sources))
    target = sources.model.environment.reach([0.1, 0.0, 0.5])
    solution, obs = METHOD.solve(carried, target), sources.model.pool.obs[:100]
    imagination, hand = Imagination(sources.model.dynamics, 1), slice(0, 3)
    before = (obs[:, hand] - torch.tensor(target.point)).norm(dim=1).mean()
    for _ in range(25):
        obs = imagination(obs, solution.acts(obs)[:, None]).obs[-1, 0]  # type: ignore[operator]
    after = (obs[:, hand] - torch.tensor(target.point)).norm(dim=1).mean()
    assert after < 0.4 * before, "the goal came from labels alone"
    assert (solution.costs.labels, solution.costs.steps, solution.costs.pool) == (1000, 0, 1000)
    assert all(map(torch.equal, weights, carried.actor.state_dict().values()))


def trainer(sources: Sources) -> GoalTrainer:
    from mbtransfer.transfer.policy.goals import GoalSpace

    model = sources.model
    bounds = action_bounds(model.environment.spec)
    space = GoalSpace.of(model.dynamics.layout)
    return GoalTrainer(Pursuit(model.dynamics, 2), space, model.pool.obs, bounds, METHOD, 0)


def test_a_relabelled_roll_out_has_reached_its_goal(sources: Sources) -> None:
    learner = trainer(sources)
    learner.update()
    obs, actions, _ = learner._last
    size = sources.model.pool.obs.shape[1]
    aimed = learner._relabelled(obs[..., :size])
    end, goal = aimed[-1, ..., :size], aimed[-1, ..., size:]
    assert bool(learner._space.reached(end, goal).all())
    assert torch.equal(aimed[..., :size], obs[..., :size]), "what happened is what happened"
    assert bool((aimed[..., size:] == goal).all()), "and it had one goal all the way"
    # the actions are those that led from each state to the next
    step = sources.model.dynamics
    bounds = action_bounds(sources.model.environment.spec)
    told = bounds.middle + actions[0] * bounds.half
    led = Imagination(step, 2).step(obs[0, ..., :size].mT, told.mT).mT
    torch.testing.assert_close(led, obs[1, ..., :size])


def test_goals_are_about_one_group_or_two(sources: Sources) -> None:
    learner = trainer(sources)
    chosen = learner._choose(1000).sum(dim=1)
    assert set(chosen.tolist()) == {1.0, 2.0}
    share = float((chosen == 2.0).float().mean())
    assert abs(share - METHOD.both * 10 / 11) < 0.05, "one of eleven second groups is the first"


def test_the_same_seed_gives_the_same(sources: Sources) -> None:
    method, obs = replace(METHOD, updates=2), sources.model.pool.obs[:5]
    target = sources.model.environment.task("drawer_half")
    a, b, c = (
        method.solve(method.pretrain(replace(sources, seed=seed)), target).acts(obs)  # type: ignore[operator]
        for seed in (0, 0, 1)
    )
    assert torch.equal(a, b) and not torch.equal(a, c)


def test_mistakes_are_named_before_anything_is_trained(sources: Sources) -> None:
    with pytest.raises(UserError, match="hindsight must be from 0 to 1, not 2"):
        replace(METHOD, hindsight=2.0).pretrain(sources)
    with pytest.raises(UserError, match="at most 1"):
        replace(METHOD, arrival=0.7, approach=0.7).pretrain(sources)
    assert "things that move" in METHOD.lacks(make("dm_control:cartpole"))
    assert not METHOD.lacks(sources.model.environment)
