from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from world_models.ensemble import EnsembleDynamics, Gaussian
from world_models.errors import ModelError
from world_models.rows import draw_bags, draw_rows, replay_weights
from world_models.training import (
    OneCycle,
    Rate,
    held_out_loss,
    make_optimiser,
    prediction_loss,
    train_steps,
)
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


def test_losses_by_hand() -> None:
    predicted = Gaussian(torch.tensor([[[0.0, 3.0]]]), torch.tensor([[[0.0, 2.0]]]))
    target = torch.tensor([[[0.5, 0.0]]])
    assert prediction_loss(predicted, target, "mse").item() == pytest.approx((0.25 + 9) / 2)
    assert prediction_loss(predicted, target, "huber").item() == pytest.approx((0.125 + 2.5) / 2)
    nll = (0.25 + 9 * torch.tensor(-2.0).exp() + 2) / 4
    assert prediction_loss(predicted, target, "nll").item() == pytest.approx(nll.item())


def test_a_gaussian_mean_learns_from_huber_alone(generator: torch.Generator) -> None:
    mean, logvar, target = (torch.randn(2, 3, 4, generator=generator).requires_grad_() for _ in range(3))
    plain = prediction_loss(Gaussian(mean, logvar), target.detach(), "huber").sum()
    both = prediction_loss(Gaussian(mean, logvar), target.detach(), "huber", gaussian=True).sum()
    assert torch.equal(*(torch.autograd.grad(loss, mean)[0] for loss in (plain, both)))
    assert torch.autograd.grad(both, logvar)[0].all()


def test_steps_lower_the_loss_and_leave_the_scales(build: Build, train: Transitions) -> None:
    dynamics, generator = build(), torch.Generator().manual_seed(0)
    before = {name: value.clone() for name, value in dynamics.normalizer.state_dict().items()}
    start = held_out_loss(dynamics, train, "huber")
    rows = draw_rows(len(train), 64 * 40, generator, members=2)
    loss = train_steps(dynamics, make_optimiser(dynamics), train, rows, lambda i: Rate(1e-2), batch=64)
    assert loss.shape == (2,)
    assert (held_out_loss(dynamics, train, "huber") < 0.7 * start).all()
    assert all(torch.equal(before[name], x) for name, x in dynamics.normalizer.state_dict().items())


def test_members_learn_from_their_own_rows_alone(build: Build, train: Transitions) -> None:
    one, other = build(), build()
    rows = draw_rows(len(train), 64 * 5, torch.Generator().manual_seed(0), members=2)
    changed = rows.clone()
    changed[1] = rows[1].flip(0)
    for dynamics, mine in ((one, rows), (other, changed)):
        train_steps(dynamics, make_optimiser(dynamics), train, mine, lambda i: Rate(1e-2), batch=64)
    first, second = (dynamics.weights[0].detach().unflatten(0, (2, -1)) for dynamics in (one, other))
    assert torch.allclose(first[0], second[0], atol=1e-6)
    assert not torch.allclose(first[1], second[1], atol=1e-4)


def test_a_schedule_can_end_training(build: Build, train: Transitions) -> None:
    dynamics, rows = build(), torch.zeros(2, 640, dtype=torch.long)
    before = dynamics.weights[0].detach().clone()
    loss = train_steps(dynamics, make_optimiser(dynamics), train, rows, lambda i: None, batch=64)
    assert not loss.any() and torch.equal(before, dynamics.weights[0])


def test_judging_in_parts_changes_nothing(
    build: Build, train: Transitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    dynamics = build()
    whole = held_out_loss(dynamics, train, "huber")
    monkeypatch.setattr("world_models.training.CHUNK", 97)
    assert torch.allclose(held_out_loss(dynamics, train, "huber"), whole, atol=1e-6)


def test_each_member_has_its_own_shuffle(generator: torch.Generator) -> None:
    rows = draw_rows(10, 30, generator, members=3)
    assert rows.shape == (3, 30)
    for start in (0, 10, 20):
        assert all(sorted(row) == list(range(10)) for row in rows[:, start : start + 10].tolist())
    assert not torch.equal(rows[0], rows[1])


def test_weights_say_how_often(generator: torch.Generator) -> None:
    weights = torch.tensor([0.0, 1.0, 3.0, 0.0])
    count = torch.stack([row.bincount(minlength=4) for row in draw_rows(4, 4000, generator, weights)])
    assert not count[:, [0, 3]].any()
    assert torch.allclose(count[:, 2] / 4000, torch.tensor(0.75), atol=0.03)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_member_sees_its_bag_alone(generator: torch.Generator, weighted: bool) -> None:
    bags = draw_bags(50, 2, generator)
    weights = torch.ones(50) if weighted else None
    rows = draw_rows(50, 2000, generator, weights, bags, members=2)
    for member in range(2):
        assert set(rows[member].tolist()) == set(bags[member].tolist())
        assert len(set(bags[member].tolist())) < 45


def test_a_replay_mix_keeps_its_shares_whatever_the_sizes(generator: torch.Generator) -> None:
    weights = replay_weights([900, 100], [0.5, 0.5])
    rows = draw_rows(1000, 4000, generator, weights, members=1)
    assert (rows >= 900).float().mean().item() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    ("sizes", "shares"), [([3], [0.5, 0.5]), ([3, 0], [0.5, 0.5]), ([3, 3], [-1.0, 2.0])]
)
def test_a_mix_that_is_none_is_refused(sizes: list[int], shares: list[float]) -> None:
    with pytest.raises(ModelError, match=r"share"):
        replay_weights(sizes, shares)
