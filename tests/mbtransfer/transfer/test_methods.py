"""Each transfer method on problems with a known answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mbtransfer.model import Model
from mbtransfer.mpc.agent import action_bounds
from mbtransfer.mpc.controller import Controller
from mbtransfer.mpc.task_reward import TaskReward
from mbtransfer.training.policy import prepare
from mbtransfer.training.policy.distillation import DistillationConfig
from mbtransfer.transfer.method import Sources, controller_of
from mbtransfer.transfer.model.fine_tuned_model import FineTunedModel
from mbtransfer.transfer.model.model_transfer import ModelTransfer
from mbtransfer.transfer.model.oracle import Oracle
from mbtransfer.transfer.model.own_model import OwnModel, share
from mbtransfer.transfer.policy.distilled_policy import DistilledPolicy, task_vector
from mbtransfer.transfer.policy.imagined_policy import ALONE, ImaginedPolicy
from mbtransfer.transfer.policy.random_policy import RandomPolicy
from tasks.task import Task
from world_models.dynamics.rollout import Imagination
from world_models.training.config import TrainingConfig
from world_models.transitions import Transitions

POINT, OTHER = (0.1, 0.0, 0.5), (-0.1, 0.2, 0.6)


@pytest.fixture
def sources(drifting: Callable[..., Model]) -> Sources:
    """In this model the hand follows the action exactly, and the only source task is to reach another point."""
    model = drifting()
    return Sources(model, (model.environment.reach(list(OTHER)),), 500, 0)


@pytest.fixture
def target(sources: Sources) -> Task:
    return sources.model.environment.reach(list(POINT))


def gap(sources: Sources, obs: torch.Tensor) -> float:
    """Mean distance of the hand to the point."""
    hand = list(sources.model.dynamics.layout.hand.positions)  # type: ignore[union-attr]
    return float((obs[..., hand] - torch.tensor(POINT)).norm(dim=-1).mean())


def led(
    sources: Sources, policy: Callable[[torch.Tensor], torch.Tensor], rows: int = 100
) -> tuple[float, float]:
    """Distance to the point before and after twenty imagined steps of a policy."""
    obs, imagination = sources.model.pool.obs[:rows], Imagination(sources.model.dynamics, 1)
    before = gap(sources, obs)
    for _ in range(20):
        obs = imagination(obs, policy(obs)[:, None]).obs[-1, 0]
    return before, gap(sources, obs)


def test_the_pooled_model_solves_a_target_from_labels_alone(sources: Sources, target: Task) -> None:
    solution = ModelTransfer().solve(sources, target)
    controller = controller_of(solution, sources.model)
    agent, reward = controller.agent(0), TaskReward(controller.rewards([target]), torch.ones(4, 1))
    before, after = led(sources, lambda obs: agent.act(obs, np.zeros((4, 1)), reward), rows=4)
    assert after < 0.3 * before
    assert (solution.costs.labels, solution.costs.steps, solution.costs.pool) == (500, 0, 1000)


def test_an_own_model_learns_the_dynamics_from_its_share(sources: Sources, target: Task) -> None:
    truth = Imagination(sources.model.dynamics, 1)
    obs = sources.model.pool.obs
    bounds = action_bounds(sources.model.environment.spec)
    draw = torch.rand(len(obs), len(bounds.low), generator=torch.Generator().manual_seed(0))
    actions = bounds.low + (bounds.high - bounds.low) * draw
    pool = Transitions(obs, actions, truth(obs, actions[:, None]).obs[-1, 0])
    sources = replace(
        sources, model=replace(sources.model, pool=pool, heads={}), tasks=(target, sources.tasks[0])
    )
    solution = OwnModel(training=TrainingConfig(epochs=20, batch=32)).solve(sources, target)
    assert share(sources) == solution.costs.pool == 500
    assert isinstance(solution.acts, Controller)
    ahead = solution.acts.dynamics.imagination(obs, actions[:, None]).obs[-1].mean(dim=0)  # type: ignore[attr-defined]
    hand = list(sources.model.dynamics.layout.hand.positions)  # type: ignore[union-attr]
    error, moved = ((x - pool.next_obs)[:, hand].norm(dim=1).mean() for x in (ahead, obs))
    assert error < 0.3 * moved


def test_the_policy_is_what_prepare_makes(sources: Sources, target: Task) -> None:
    solution = ImaginedPolicy(updates=2).solve(sources, target)
    prepared = prepare(sources.model, target, 1e9, updates=2, labels=500, config=ALONE)
    obs = sources.model.pool.obs
    assert torch.equal(solution.acts(obs), prepared.policy(obs))  # type: ignore[operator]


@pytest.mark.slow
def test_a_distilled_policy_goes_where_the_planner_goes(sources: Sources, target: Task) -> None:
    method = DistilledPolicy(2, 300, DistillationConfig(rows=10, steps=12, updates=300))
    carried = method.pretrain(sources)
    weights = [weight.clone() for weight in carried.actor.parameters()]
    solution = method.solve(carried, target)
    before, after = led(sources, solution.acts)  # type: ignore[arg-type]
    assert after < 0.5 * before
    assert solution.costs.labels == 1000, "those of the source task, too"
    assert all(map(torch.equal, weights, carried.actor.parameters())), "what is carried must not change"


def test_the_vector_of_a_task_is_where_its_best_labels_are(sources: Sources, target: Task) -> None:
    obs, scale = sources.model.pool.obs, sources.model.pool.obs.std(dim=0).clamp(min=1e-3)
    assert gap(sources, obs.mean(dim=0) + scale * task_vector(sources, target)) < 0.5 * gap(sources, obs)


def test_random_actions_fill_the_action_box(sources: Sources, target: Task) -> None:
    bounds = action_bounds(sources.model.environment.spec)
    policies = [RandomPolicy().solve(sources, target).acts for _ in range(2)]
    first, again = (policy(sources.model.pool.obs) for policy in policies)  # type: ignore[operator]
    assert torch.equal(first, again)
    assert bool(((first >= bounds.low) & (first <= bounds.high)).all())
    np.testing.assert_allclose(first.std(dim=0), (bounds.high - bounds.low) / 12**0.5, rtol=0.1)


def test_the_oracle_plans_in_the_true_simulator(sources: Sources, target: Task) -> None:
    controller = controller_of(Oracle().solve(sources, target), sources.model)
    assert (controller.dynamics_name, controller.reward_name) == ("oracle", "true")


def test_the_oracle_needs_a_simulator_that_can_return(sources: Sources) -> None:
    stuck = replace(sources.model.environment, make_scene=lambda locked: SimpleNamespace(live=True))  # type: ignore[arg-type,return-value]
    assert "simulator" in Oracle().lacks(stuck)
    assert not Oracle().lacks(sources.model.environment)


@pytest.mark.slow
@pytest.mark.slow
def test_fine_tuning_counts_its_steps_and_leaves_the_pooled_model_alone(sources: Sources) -> None:
    target = sources.model.environment.task("drawer_half")
    before = [weight.clone() for weight in sources.model.dynamics.parameters()]
    solution = FineTunedModel().solve(replace(sources, practice=2), target)
    assert 0 < solution.costs.steps <= 2 * sources.model.environment.spec.episode_steps
    assert all(map(torch.equal, before, sources.model.dynamics.parameters()))
    assert FineTunedModel().solve(sources, target).costs.steps == 0, "zero-shot"
