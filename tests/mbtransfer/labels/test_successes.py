from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor

from mbtransfer.labels.successes import labels_from_successes
from mbtransfer.model import Model
from tasks.combinators import all_of
from tasks.registry import make
from tasks.task import Task
from world_models.errors import ModelError
from world_models.rewards.heads import RewardHeads

KITCHEN = make("kitchen")
DRAWER, LIGHT = KITCHEN.move("drawer", 0.2), KITCHEN.move("light_switch", 0.3)
BOTH, PLACE = all_of("both", [DRAWER, LIGHT]), KITCHEN.reach((0.2, -0.16, 0.5))


@pytest.fixture
def model(drifting: Callable[..., Model]) -> Model:
    """Random states, each of which stays as it is."""
    return drifting(rows=3000)


def examples(model: Model, task: Task, count: int = 20) -> Tensor:
    return model.pool.obs[task.success(model.pool.obs)][:count]


@pytest.mark.parametrize("task", [DRAWER, BOTH, PLACE], ids=lambda task: task.name)
def test_success_is_where_the_examples_agree(model: Model, task: Task) -> None:
    labels = labels_from_successes(model, examples(model, task))
    true = task.success(labels.next_obs)
    assert float(true[labels.success].float().mean()) > 0.7
    assert float(labels.success[true].float().mean()) > 0.7


@pytest.mark.parametrize(("task", "least"), [(DRAWER, 0.95), (PLACE, 0.7)], ids=["object", "place"])
def test_the_reward_leads_there_from_afar(model: Model, task: Task, least: float) -> None:
    labels = labels_from_successes(model, examples(model, task))
    true = task.reward(labels.obs, labels.actions, labels.next_obs)
    assert spearmanr(labels.reward, true).statistic > least


def test_each_object_done_raises_the_reward(model: Model) -> None:
    labels = labels_from_successes(model, examples(model, BOTH))
    light_alone = LIGHT.success(labels.next_obs) & ~DRAWER.success(labels.next_obs)
    drawer_alone = DRAWER.success(labels.next_obs) & ~LIGHT.success(labels.next_obs)
    neither = ~LIGHT.success(labels.next_obs) & ~DRAWER.success(labels.next_obs)
    one, other = (labels.reward[part].mean() for part in (light_alone, drawer_alone))
    assert labels.reward[labels.success].min() > max(one, other)
    assert min(one, other) > labels.reward[neither].mean()


def test_examples_that_differ_in_little_tell_one_quantity(model: Model) -> None:
    state = examples(model, DRAWER, 1)
    labels = labels_from_successes(model, state.repeat(10, 1))
    assert labels.success.float().mean() > 0.01  # about 0.04 to the power of the number of quantities


def test_examples_join_a_pool_without_successes(model: Model) -> None:
    here = examples(model, BOTH)
    kept = model.pool[~BOTH.success(model.pool.obs)]
    labels = labels_from_successes(Model(KITCHEN, model.dynamics, kept, model.coverage, {}), here)
    assert int(labels.success.sum()) >= len(here)


def test_a_head_learns_from_the_labels(model: Model) -> None:
    labels = labels_from_successes(model, examples(model, DRAWER), count=1000, seed=1)
    assert len(labels.reward) == 1000
    heads = RewardHeads(model.dynamics.layout)
    assert heads.add("drawer", labels).reward_error < 0.01
    done = heads.success(model.pool.obs)[:, 0] > 0.5
    assert float((done == DRAWER.success(model.pool.obs)).float().mean()) > 0.95


def test_labels_depend_on_the_seed_alone(model: Model) -> None:
    here = examples(model, DRAWER)
    first, again, other = (labels_from_successes(model, here, 100, seed) for seed in (0, 0, 1))
    assert torch.equal(first.obs, again.obs) and torch.equal(first.reward, again.reward)
    assert not torch.equal(first.obs, other.obs)


def test_bad_examples_are_refused(model: Model) -> None:
    good = examples(model, DRAWER, 3)
    for bad, why in ((good[:0], "at least one"), (good[:, 1:], "columns"), (good * torch.nan, "finite")):
        with pytest.raises(ModelError, match=why):
            labels_from_successes(model, bad)
