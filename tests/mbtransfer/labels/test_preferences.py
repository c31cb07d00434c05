from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from scipy.stats import spearmanr

from mbtransfer.labels.preferences import labels_from_preferences
from mbtransfer.model import Model
from tasks.registry import make
from world_models.errors import ModelError
from world_models.transitions import Transitions

DRAWER = make("kitchen").move("drawer", 0.2)

Pairs = tuple[list[Transitions], list[Transitions]]


@pytest.fixture
def model(drifting: Callable[..., Model]) -> Model:
    """Random states, each of which stays as it is."""
    return drifting()


def pairs(model: Model, count: int) -> Pairs:
    """Segments of two steps, compared by their return for the drawer."""
    better, worse = [], []
    for i in range(count):
        two = [model.pool[slice(4 * i, 4 * i + 2)], model.pool[slice(4 * i + 2, 4 * i + 4)]]
        two.sort(key=lambda s: float(DRAWER.reward(s.obs, s.actions, s.next_obs).sum()))
        worse.append(two[0])
        better.append(two[1])
    return better, worse


def test_the_reward_ranks_as_the_preferences_do(model: Model) -> None:
    labels = labels_from_preferences(model, *pairs(model, 60))
    true = DRAWER.reward(labels.obs, labels.actions, labels.next_obs)
    assert spearmanr(labels.reward, true).statistic > 0.7
    assert float(labels.reward.mean()) == pytest.approx(0.0, abs=1e-4)
    assert float(labels.reward.std()) == pytest.approx(1.0, abs=1e-3)


def test_the_best_states_are_successes(model: Model) -> None:
    labels = labels_from_preferences(model, *pairs(model, 60))
    assert 0 < float(labels.success.float().mean()) < 0.2
    assert labels.reward[labels.success].min() > labels.reward[~labels.success].max()


def test_turned_round_preferences_turn_the_reward_round(model: Model) -> None:
    better, worse = pairs(model, 60)
    labels = labels_from_preferences(model, worse, better, count=200, seed=1)
    assert len(labels.reward) == 200
    true = DRAWER.reward(labels.obs, labels.actions, labels.next_obs)
    assert spearmanr(labels.reward, true).statistic < -0.7


def test_preferences_that_tell_nothing_are_refused(model: Model) -> None:
    same, _ = pairs(model, 20)
    with pytest.raises(ModelError, match="better than chance"):
        labels_from_preferences(model, same, same)


def test_a_pool_that_stands_still_tells_nothing(model: Model) -> None:
    still = replace(model, pool=model.pool[torch.zeros(100, dtype=torch.long)])
    with pytest.raises(ModelError, match="better than chance"):
        labels_from_preferences(still, *pairs(model, 20))


def test_bad_pairs_are_refused(model: Model) -> None:
    better, worse = pairs(model, 12)
    narrow = Transitions(*(part[:, 1:] for part in vars(better[0]).values()))
    for one, other, why in (
        (better, worse[1:], "pairs"),
        (better[:5], worse[:5], "at least"),
        ([narrow, *better[1:]], worse, "columns"),
        ([better[0][slice(0, 0)], *better[1:]], worse, "no transitions"),
    ):
        with pytest.raises(ModelError, match=why):
            labels_from_preferences(model, one, other)
