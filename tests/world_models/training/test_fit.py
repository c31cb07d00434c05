"""Fitting: what is learned and reported, from many rows or few."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch

from tests.world_models.training.fitting import SHORT, Build, bits, run, same
from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.errors import ModelError
from world_models.training.trainer import TrainingConfig, fit, held_out_loss
from world_models.transitions import Segments, Transitions
from world_models.uncertainty.forecast import relative_error


@pytest.mark.parametrize(("structure", "head", "loss"), [
    ("objects", "deterministic", "huber"),
    ("objects", "gaussian", "nll"),
    ("objects", "gaussian", "beta_nll"),
    ("objects", "gaussian", "huber"),
    ("dense", "deterministic", "mse"),
])  # fmt: skip
def test_it_learns(
    build: Build, train: Transitions, valid: Transitions, segments: Segments,
    structure: str, head: str, loss: str,
) -> None:  # fmt: skip
    dynamics = build(structure=structure, head=head, hidden=24)
    start = relative_error(dynamics, segments)
    config = TrainingConfig(epochs=8, batch=64, loss=loss)  # type: ignore[arg-type]
    reports = run(dynamics, train, valid, config, segments=segments)
    error = relative_error(dynamics, segments)
    assert (error < 0.7).all() and (error < 0.7 * start).all()  # much better than "nothing moves"
    assert reports[-1].valid_loss < reports[0].valid_loss


def test_reports(build: Build, train: Transitions, valid: Transitions, segments: Segments) -> None:
    reports = run(build(), train, valid, SHORT, segments=segments)
    assert [report.epoch for report in reports] == [1, 2, 3, 4]
    assert all(report.epochs == 4 and math.isfinite(report.train_loss) for report in reports)
    assert all(a.seconds < b.seconds for a, b in itertools.pairwise(reports))
    assert all(report.rollout_error is not None for report in reports)
    assert run(build(), train, valid, SHORT)[-1].rollout_error is None


def test_a_seed_gives_the_same_model(build: Build, train: Transitions, valid: Transitions) -> None:
    models = [build() for _ in range(3)]
    for dynamics, seed in zip(models, (0, 0, 1), strict=True):
        run(dynamics, train, valid, SHORT, seed)
    assert same(bits(models[0]), bits(models[1]))
    assert not same(bits(models[0]), bits(models[2]))


def test_a_loss_along_rollouts_learns_too(
    build: Build, train: Transitions, valid: Transitions, segments: Segments
) -> None:
    dynamics = build(hidden=24)
    run(dynamics, train, valid, TrainingConfig(epochs=8, batch=64, rollout_steps=3), segments=segments)
    assert (relative_error(dynamics, segments) < 0.7).all()


def test_a_likelihood_is_of_single_steps(build: Build, train: Transitions, valid: Transitions) -> None:
    config = TrainingConfig(loss="nll", rollout_steps=2)
    with pytest.raises(ModelError, match="loss nll judges single steps"):
        fit(build(head="gaussian"), train, valid, config)


def test_steps_per_epoch(build: Build, train: Transitions, valid: Transitions) -> None:
    one, many = (run(build(), train, valid, replace(SHORT, steps_per_epoch=n)) for n in (1, 40))
    assert len(one) == len(many) == 4
    assert many[-1].valid_loss < 0.7 * one[-1].valid_loss


def test_tens_of_millions_of_parameters(build: Build, train: Transitions, valid: Transitions) -> None:
    dynamics = build(structure="dense", hidden=2048, layers=4)
    assert sum(parameter.numel() for parameter in dynamics.parameters()) > 25e6
    config = TrainingConfig(epochs=1, batch=16, steps_per_epoch=3, learning_rate=3e-4)
    start = held_out_loss(dynamics, valid[:64], "huber")
    run(dynamics, train, valid[:64], config)
    assert (held_out_loss(dynamics, valid[:64], "huber") < start).all()


def test_fewer_rows_than_a_batch_are_enough(build: Build, train: Transitions, valid: Transitions) -> None:
    assert len(run(build(), train[:5], valid, TrainingConfig(epochs=2, batch=64))) == 2


def test_fine_tuning_keeps_scales_and_never_gets_worse(
    fitted: EnsembleDynamics, train: Transitions, valid: Transitions
) -> None:
    before, loss = bits(fitted), held_out_loss(fitted, valid, "huber")
    weights = torch.zeros(len(train))
    weights[:64] = 1  # a few rows, over and over
    config = TrainingConfig(epochs=2, batch=64, steps_per_epoch=20)
    run(fitted, train, valid, config, weights=weights, keep_scales=True)
    assert all(
        torch.equal(before[f"normalizer.{name}"], x) for name, x in fitted.normalizer.state_dict().items()
    )
    assert (held_out_loss(fitted, valid, "huber") <= loss).all()
    run(fitted, train, valid, replace(config, learning_rate=1e-3), keep_scales=True)
    assert (held_out_loss(fitted, valid, "huber") < loss).any()
