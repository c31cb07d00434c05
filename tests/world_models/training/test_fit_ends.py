"""When a fit ends, and which epoch of which member it keeps."""

from __future__ import annotations

import itertools
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from tests.world_models.training.fitting import SHORT, Build, run
from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.training.trainer import TrainingConfig
from world_models.transitions import Segments, Transitions
from world_models.uncertainty.forecast import relative_error


def test_the_best_epoch_of_each_member_is_kept(
    build: Build, train: Transitions, valid: Transitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    dynamics, after = build(), []
    told = iter([[3.0, 1.0], [1.0, 2.0], [2.0, 2.0], [2.0, 2.0]])

    def judged(model: EnsembleDynamics, *_: object) -> Tensor:
        after.append(model.weights[0].detach().clone().unflatten(0, (2, -1)))
        return torch.tensor(next(told))

    monkeypatch.setattr("world_models.training.trainer.held_out_loss", judged)
    run(dynamics, train, valid, SHORT)
    kept = dynamics.weights[0].detach().unflatten(0, (2, -1))
    assert torch.equal(kept[0], after[1][0]) and torch.equal(kept[1], after[0][1])
    assert dynamics.elites.tolist() == [0, 1]  # equal losses keep their order


def test_the_best_epoch_can_be_chosen_by_rollouts(
    build: Build, train: Transitions, valid: Transitions, segments: Segments, monkeypatch: pytest.MonkeyPatch
) -> None:
    dynamics, after = build(), []
    told = iter([[3.0, 1.0], [1.0, 2.0], [2.0, 2.0], [2.0, 2.0], [1.0, 1.0]])

    def judged(model: EnsembleDynamics, *_: object) -> Tensor:
        after.append(model.weights[0].detach().clone().unflatten(0, (2, -1)))
        return torch.tensor(next(told))

    monkeypatch.setattr("world_models.training.trainer.relative_error", judged)
    run(dynamics, train, valid, replace(SHORT, choose="rollout"), segments=segments)
    kept = dynamics.weights[0].detach().unflatten(0, (2, -1))
    assert torch.equal(kept[0], after[1][0]) and torch.equal(kept[1], after[0][1])


def test_elites_are_the_members_with_the_best_rollouts(
    build: Build, train: Transitions, valid: Transitions, segments: Segments
) -> None:
    dynamics = build(members=4)
    run(dynamics, train, valid, replace(SHORT, elites=2), segments=segments)
    assert dynamics.elites.tolist() == relative_error(dynamics, segments).argsort()[:2].tolist()


def test_training_stops_when_no_member_gets_better(
    build: Build, train: Transitions, valid: Transitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("world_models.training.trainer.held_out_loss", lambda *_: torch.ones(2))
    config = TrainingConfig(epochs=20, batch=600, patience=3)
    assert len(run(build(), train, valid, config)) == 15  # from 13 of 20 on, when the rate falls
    assert len(run(build(), train, valid, replace(config, patience=0))) == 20


def test_a_time_limit_is_kept_and_still_ends_well(
    build: Build, train: Transitions, valid: Transitions, segments: Segments, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count(step=0.001)
    monkeypatch.setattr("world_models.training.trainer.time", SimpleNamespace(monotonic=lambda: next(clock)))
    dynamics = build()
    config = TrainingConfig(epochs=10_000, batch=64, seconds=0.3)
    reports = run(dynamics, train, valid, config, segments=segments)
    assert reports[-1].seconds == pytest.approx(0.3, abs=0.02)
    assert (relative_error(dynamics, segments) < 0.7).all()
