"""Settings and data that cannot be fitted, and a training that diverges, are told in one line."""

from __future__ import annotations

import math

import pytest
import torch

from tests.world_models.training.fitting import SHORT, Build, run
from world_models.errors import ModelError
from world_models.training.trainer import TrainingConfig, fit
from world_models.transitions import Transitions


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"batch": 0}, "batch must be at least 1"),
        ({"elites": 0}, "elites must be at least 1"),
        ({"patience": -1}, "patience must be zero or more"),
        ({"seconds": math.nan}, "seconds must be zero or more"),
        ({"learning_rate": 0.0}, "learning_rate must be above zero"),
        ({"learning_rate": math.inf}, "learning_rate must be above zero"),
        ({"loss": "nll"}, "loss nll needs head gaussian"),
        ({"loss": "beta_nll"}, "loss beta_nll needs head gaussian"),
        ({"rollout_steps": 0}, "rollout_steps must be at least 1"),
        ({"weight_decay": -0.1}, "weight_decay must be zero or more"),
    ],
)
def test_settings_that_make_no_sense_are_refused_at_once(
    build: Build, train: Transitions, valid: Transitions, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        fit(build(), train, valid, TrainingConfig(**settings))  # type: ignore[arg-type]


def test_data_that_do_not_fit_are_refused_at_once(
    build: Build, train: Transitions, valid: Transitions
) -> None:
    narrow = Transitions(valid.obs[:, 1:], valid.actions, valid.next_obs[:, 1:])
    with pytest.raises(ModelError, match="15 observation columns"):
        fit(build(), train, narrow)
    with pytest.raises(ModelError, match="no transitions"):
        fit(build(), train[:0], valid)
    for weights in (torch.ones(3), torch.zeros(len(train)), torch.full((len(train),), math.nan)):
        with pytest.raises(ModelError, match="weights"):
            fit(build(), train, valid, weights=weights)


def test_a_training_that_diverges_says_so(build: Build, train: Transitions, valid: Transitions) -> None:
    dynamics = build()
    with torch.no_grad():
        dynamics.biases[-1].fill_(math.inf)
    with pytest.raises(ModelError, match=r"diverged in epoch 1.*lower learning_rate"):
        run(dynamics, train, valid, SHORT)
