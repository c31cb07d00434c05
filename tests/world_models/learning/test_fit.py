from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from world_models.calibration.rollout import relative_error
from world_models.ensemble import EnsembleDynamics
from world_models.errors import ModelError
from world_models.learning.fit import EpochReport, FitConfig, fit
from world_models.learning.training import held_out_loss, train_steps
from world_models.transitions import Segments, Transitions

Build = Callable[..., EnsembleDynamics]

SHORT = FitConfig(epochs=4, batch=64)


def run(*args: object, **keywords: object) -> list[EpochReport]:
    return list(fit(*args, **keywords))  # type: ignore[arg-type]


def bits(dynamics: EnsembleDynamics) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in dynamics.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items()) and len(one) == len(other)


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
    config = FitConfig(epochs=8, batch=64, loss=loss)  # type: ignore[arg-type]
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


@pytest.mark.parametrize("settings", [
    {}, {"bootstrap": True}, {"rollout_steps": 3, "weight_decay": 0.1, "choose": "rollout"}, {"precision": "bfloat16"},
])  # fmt: skip
@pytest.mark.parametrize("stop_after", [1, 3, 4])
def test_a_killed_run_goes_on_and_ends_with_the_same_bits(
    build: Build, train: Transitions, valid: Transitions, segments: Segments, tmp_path: Path,
    stop_after: int, settings: dict[str, Any],
) -> None:  # fmt: skip
    config, state = replace(SHORT, **settings), tmp_path / "training.safetensors"
    whole, part, rest = build(), build(), build()
    expected = run(whole, train, valid, config, segments=segments)
    reports = fit(part, train, valid, config, segments=segments, state=state)
    for _ in range(stop_after):
        next(reports)
    reports.close()  # type: ignore[attr-defined]
    found = run(rest, train, valid, config, segments=segments, state=state)
    assert same(bits(whole), bits(rest))
    assert [replace(report, seconds=0.0) for report in found] == [replace(r, seconds=0.0) for r in expected]


def test_a_kill_between_epochs_loses_no_finished_one(
    build: Build, train: Transitions, valid: Transitions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, epochs = tmp_path / "training.safetensors", []
    reports = fit(build(), train, valid, SHORT, state=state)
    next(reports)

    def killed(*args: object, **keywords: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("world_models.learning.fit.held_out_loss", killed)
        next(reports)
    resumed = build()
    with monkeypatch.context() as patch:
        patch.setattr("world_models.learning.fit.train_steps", counted(epochs))
        run(resumed, train, valid, SHORT, state=state)
    whole = build()
    run(whole, train, valid, SHORT)
    assert len(epochs) == 3 and same(bits(whole), bits(resumed))


def counted(calls: list[int]) -> Callable[..., Tensor]:
    def steps(*args: object, **keywords: object) -> Tensor:
        calls.append(1)
        return train_steps(*args, **keywords)  # type: ignore[arg-type]

    return steps


@pytest.mark.parametrize("harm", ["cut", "flip", "other seed"])
def test_a_state_that_is_damaged_or_of_another_run_starts_over(
    build: Build, train: Transitions, valid: Transitions, tmp_path: Path, harm: str
) -> None:
    state = tmp_path / "training.safetensors"
    next(fit(build(), train, valid, SHORT, 1 if harm == "other seed" else 0, state=state))
    data = bytearray(state.read_bytes())
    if harm == "cut":
        state.write_bytes(data[:-100])
    elif harm == "flip":
        data[len(data) // 2] ^= 1
        state.write_bytes(data)
    whole, again = build(), build()
    run(whole, train, valid, SHORT)
    run(again, train, valid, SHORT, state=state)
    assert same(bits(whole), bits(again))


def test_the_best_epoch_of_each_member_is_kept(
    build: Build, train: Transitions, valid: Transitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    dynamics, after = build(), []
    told = iter([[3.0, 1.0], [1.0, 2.0], [2.0, 2.0], [2.0, 2.0]])

    def judged(model: EnsembleDynamics, *_: object) -> Tensor:
        after.append(model.weights[0].detach().clone().unflatten(0, (2, -1)))
        return torch.tensor(next(told))

    monkeypatch.setattr("world_models.learning.fit.held_out_loss", judged)
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

    monkeypatch.setattr("world_models.learning.fit.relative_error", judged)
    run(dynamics, train, valid, replace(SHORT, choose="rollout"), segments=segments)
    kept = dynamics.weights[0].detach().unflatten(0, (2, -1))
    assert torch.equal(kept[0], after[1][0]) and torch.equal(kept[1], after[0][1])


def test_a_loss_along_rollouts_learns_too(
    build: Build, train: Transitions, valid: Transitions, segments: Segments
) -> None:
    dynamics = build(hidden=24)
    run(dynamics, train, valid, FitConfig(epochs=8, batch=64, rollout_steps=3), segments=segments)
    assert (relative_error(dynamics, segments) < 0.7).all()


def test_a_likelihood_is_of_single_steps(build: Build, train: Transitions, valid: Transitions) -> None:
    config = FitConfig(loss="nll", rollout_steps=2)
    with pytest.raises(ModelError, match="loss nll judges single steps"):
        fit(build(head="gaussian"), train, valid, config)


def test_elites_are_the_members_with_the_best_rollouts(
    build: Build, train: Transitions, valid: Transitions, segments: Segments
) -> None:
    dynamics = build(members=4)
    run(dynamics, train, valid, replace(SHORT, elites=2), segments=segments)
    assert dynamics.elites.tolist() == relative_error(dynamics, segments).argsort()[:2].tolist()


def test_training_stops_when_no_member_gets_better(
    build: Build, train: Transitions, valid: Transitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("world_models.learning.fit.held_out_loss", lambda *_: torch.ones(2))
    config = FitConfig(epochs=20, batch=600, patience=3)
    assert len(run(build(), train, valid, config)) == 15  # from 13 of 20 on, when the rate falls
    assert len(run(build(), train, valid, replace(config, patience=0))) == 20


def test_a_time_limit_is_kept_and_still_ends_well(
    build: Build, train: Transitions, valid: Transitions, segments: Segments, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count(step=0.001)
    monkeypatch.setattr("world_models.learning.fit.time", SimpleNamespace(monotonic=lambda: next(clock)))
    dynamics = build()
    config = FitConfig(epochs=10_000, batch=64, seconds=0.3)
    reports = run(dynamics, train, valid, config, segments=segments)
    assert reports[-1].seconds == pytest.approx(0.3, abs=0.02)
    assert (relative_error(dynamics, segments) < 0.7).all()


def test_steps_per_epoch(build: Build, train: Transitions, valid: Transitions) -> None:
    one, many = (run(build(), train, valid, replace(SHORT, steps_per_epoch=n)) for n in (1, 40))
    assert len(one) == len(many) == 4
    assert many[-1].valid_loss < 0.7 * one[-1].valid_loss


def test_tens_of_millions_of_parameters(build: Build, train: Transitions, valid: Transitions) -> None:
    dynamics = build(structure="dense", hidden=2048, layers=4)
    assert sum(parameter.numel() for parameter in dynamics.parameters()) > 25e6
    config = FitConfig(epochs=1, batch=16, steps_per_epoch=3, learning_rate=3e-4)
    start = held_out_loss(dynamics, valid[:64], "huber")
    run(dynamics, train, valid[:64], config)
    assert (held_out_loss(dynamics, valid[:64], "huber") < start).all()


def test_fewer_rows_than_a_batch_are_enough(build: Build, train: Transitions, valid: Transitions) -> None:
    assert len(run(build(), train[:5], valid, FitConfig(epochs=2, batch=64))) == 2


def test_fine_tuning_keeps_scales_and_never_gets_worse(
    fitted: EnsembleDynamics, train: Transitions, valid: Transitions
) -> None:
    before, loss = bits(fitted), held_out_loss(fitted, valid, "huber")
    weights = torch.zeros(len(train))
    weights[:64] = 1  # a few rows, over and over
    config = FitConfig(epochs=2, batch=64, steps_per_epoch=20)
    run(fitted, train, valid, config, weights=weights, keep_scales=True)
    assert all(
        torch.equal(before[f"normalizer.{name}"], x) for name, x in fitted.normalizer.state_dict().items()
    )
    assert (held_out_loss(fitted, valid, "huber") <= loss).all()
    run(fitted, train, valid, replace(config, learning_rate=1e-3), keep_scales=True)
    assert (held_out_loss(fitted, valid, "huber") < loss).any()


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
        fit(build(), train, valid, FitConfig(**settings))  # type: ignore[arg-type]


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
