"""Distillation of the planner: the policy goes where the planner goes, and its value knows the way."""

import numpy as np
import pytest
import torch

from mbtransfer.errors import UserError
from mbtransfer.model import Model
from mbtransfer.mpc.controller import Controller, model_controller
from mbtransfer.training.policy import PolicyTrainingConfig, Prepared, prepare
from mbtransfer.training.policy.distillation import Demonstrations, DistillationConfig, demonstrate
from tasks.task import Task

pytestmark = pytest.mark.slow

POINT = (0.1, 0.0, 0.5)
ROUND = DistillationConfig(rows=16, steps=8, updates=200, value_updates=60)
TRAINING = PolicyTrainingConfig(horizon=3, rows=16, discount=0.9)


@pytest.fixture(scope="module")
def model() -> Model:
    """A model in which the hand follows the action exactly."""
    from tests.mbtransfer.conftest import _drifting

    return _drifting()


@pytest.fixture(scope="module")
def task(model: Model) -> Task:
    """Reach a point."""
    return model.environment.reach(list(POINT))


@pytest.fixture(scope="module")
def controller(model: Model) -> Controller:
    """Plans for the true reward."""
    return model_controller(model.environment, model.dynamics, particles=1)


@pytest.fixture(scope="module")
def prepared(model: Model, task: Task) -> Prepared:
    """Two rounds of imitation."""
    return prepare(
        model, task, 1e9, updates=2, labels=500, config=TRAINING, method="planner", distillation=ROUND
    )


def gap(model: Model, obs: torch.Tensor) -> torch.Tensor:
    """Distance of the hand to the point."""
    hand = list(model.dynamics.layout.hand.positions)  # type: ignore[union-attr]
    return (obs[..., hand] - torch.tensor(POINT)).norm(dim=-1)


def test_the_policy_goes_where_the_planner_goes(
    model: Model, controller: Controller, prepared: Prepared
) -> None:
    obs = model.pool.obs[:100]
    ahead = controller.dynamics.rollouts(obs, np.zeros((100, 1)), prepared.policy, 12)
    path = controller.dynamics.imagination(obs, ahead).obs  # type: ignore[attr-defined]
    assert gap(model, path[-1, 0]).mean() < 0.5 * gap(model, path[0, 0]).mean()
    assert prepared.notes["method"] == "planner" and prepared.notes["updates"] == 2


def test_the_value_of_the_policy_is_higher_the_nearer(model: Model, prepared: Prepared) -> None:
    obs = model.pool.obs
    value, distance = prepared.value(obs), gap(model, obs)
    assert value[distance < distance.quantile(0.2)].mean() > value[distance > distance.quantile(0.8)].mean()


def test_a_policy_that_leads_is_told_what_the_planner_would_do(
    model: Model, controller: Controller, task: Task
) -> None:
    def still(obs: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(obs), model.pool.actions.shape[1])

    led, free = (demonstrate(controller, task, model.pool.obs, ROUND, 0, policy) for policy in (still, None))
    first, last = slice(0, ROUND.rows), slice(-ROUND.rows, None)
    assert torch.equal(led.obs[first], free.obs[first])
    far = gap(model, led.obs[last]).mean()
    assert gap(model, free.obs[last]).mean() < 0.7 * far, "the planner goes there, the policy stands still"
    assert led.actions[last].abs().mean() > 0.1


def test_demonstrations_add_up() -> None:
    one = Demonstrations(torch.zeros(2, 3), torch.zeros(2, 1))
    assert len((one + one).obs) == len((one + one).actions) == 4


def test_the_same_seed_gives_the_same(model: Model, task: Task) -> None:
    little, obs = DistillationConfig(rows=2, steps=2, updates=3, value_updates=1), model.pool.obs[:5]
    first, again, other = (
        prepare(
            model, task, 1e9, updates=2, labels=200, method="planner", distillation=little, seed=seed
        ).policy(obs)
        for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_penalty_of_disagreement_is_refused(model: Model, task: Task) -> None:
    config = PolicyTrainingConfig(uncertainty_penalty=0.5)
    with pytest.raises(UserError, match="--method planner follows the planner"):
        prepare(model, task, 1e9, updates=1, labels=200, config=config, method="planner")
