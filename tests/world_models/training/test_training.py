from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.training.batches import draw_rows, gather
from world_models.training.config import LearningRate, OneCycle
from world_models.training.trainer import held_out_loss, make_optimiser, train_steps
from world_models.transitions import Transitions

Build = Callable[..., EnsembleDynamics]


def test_one_cycle_is_the_curve_that_torch_draws() -> None:
    steps, cycle = 1000, OneCycle(1e-2)
    optimiser = torch.optim.Adam([torch.zeros(1, requires_grad=True)])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=steps)
    for step in range(steps):
        group, rate = optimiser.param_groups[0], cycle(step / steps)
        assert rate.learning_rate == pytest.approx(group["lr"], abs=5e-5)
        assert rate.momentum == pytest.approx(group["betas"][0], abs=5e-4)
        optimiser.step()
        if step < steps - 1:
            schedule.step()


def test_steps_lower_the_loss_and_leave_the_scales(build: Build, train: Transitions) -> None:
    dynamics, generator = build(), torch.Generator().manual_seed(0)
    before = {name: value.clone() for name, value in dynamics.normalizer.state_dict().items()}
    start = held_out_loss(dynamics, train, "huber")
    rows = draw_rows(len(train), 64 * 40, generator, members=2)
    loss = train_steps(
        dynamics, make_optimiser(dynamics), gather(train, rows, 64), lambda i: LearningRate(1e-2)
    )
    assert loss.shape == (2,)
    assert (held_out_loss(dynamics, train, "huber") < 0.7 * start).all()
    assert all(torch.equal(before[name], x) for name, x in dynamics.normalizer.state_dict().items())


def test_members_learn_from_their_own_rows_alone(build: Build, train: Transitions) -> None:
    one, other = build(), build()
    rows = draw_rows(len(train), 64 * 5, torch.Generator().manual_seed(0), members=2)
    changed = rows.clone()
    changed[1] = rows[1].flip(0)
    for dynamics, mine in ((one, rows), (other, changed)):
        train_steps(dynamics, make_optimiser(dynamics), gather(train, mine, 64), lambda i: LearningRate(1e-2))
    first, second = (dynamics.weights[0].detach().unflatten(0, (2, -1)) for dynamics in (one, other))
    assert torch.allclose(first[0], second[0], atol=1e-6)
    assert not torch.allclose(first[1], second[1], atol=1e-4)


def test_a_schedule_can_end_training(build: Build, train: Transitions) -> None:
    dynamics, rows = build(), torch.zeros(2, 640, dtype=torch.long)
    before = dynamics.weights[0].detach().clone()
    loss = train_steps(dynamics, make_optimiser(dynamics), gather(train, rows, 64), lambda i: None)
    assert not loss.any() and torch.equal(before, dynamics.weights[0])


def test_judging_in_parts_changes_nothing(
    build: Build, train: Transitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    dynamics = build()
    whole = held_out_loss(dynamics, train, "huber")
    monkeypatch.setattr("world_models.training.trainer.CHUNK", 97)
    assert torch.allclose(held_out_loss(dynamics, train, "huber"), whole, atol=1e-6)


def test_weight_decay_shrinks_weights(build: Build, train: Transitions) -> None:
    rows = draw_rows(len(train), 64 * 20, torch.Generator().manual_seed(0), members=2)
    sizes = []
    for decay in (0.0, 1.0):
        dynamics = build()
        optimiser = make_optimiser(dynamics, decay)
        train_steps(dynamics, optimiser, gather(train, rows, 64), lambda i: LearningRate(1e-2))
        sizes.append(dynamics.weights[1].detach().norm())
    assert sizes[1] < 0.95 * sizes[0]


def test_bfloat16_products_learn_too_and_weights_stay_float32(build: Build, train: Transitions) -> None:
    rows = draw_rows(len(train), 64 * 40, torch.Generator().manual_seed(0), members=2)
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        dynamics = build()
        optimiser, start = make_optimiser(dynamics), held_out_loss(dynamics, train, "huber")
        loss = train_steps(
            dynamics, optimiser, gather(train, rows, 64), lambda i: LearningRate(1e-2), dtype=dtype
        )
        moments = (value for state in optimiser.state.values() for value in state.values())
        assert all(value.dtype == torch.float32 for value in (loss, *dynamics.parameters(), *moments))
        assert (held_out_loss(dynamics, train, "huber") < 0.7 * start).all()
        found.append(loss)
    assert torch.allclose(found[0], found[1], rtol=0.02) and not torch.equal(found[0], found[1])
