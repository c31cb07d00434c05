from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.training.batches import Batch, gather
from world_models.training.losses import Loss, MultiStepLoss, limits
from world_models.transitions import Segments, Transitions
from world_models.uncertainty.forecast import rollout_error

Build = Callable[..., EnsembleDynamics]


def stretches(data: Transitions, starts: list[int], steps: int) -> Batch:
    """The same stretches for three members."""
    return next(gather(data, torch.tensor([starts] * 3), len(starts), steps, data.is_continuation()))


def test_the_loss_is_what_imagination_errs(fitted: EnsembleDynamics, train: Transitions) -> None:
    starts = [0, 7, 30, 55, 61]
    obs = torch.stack([torch.cat([train.obs[i : i + 5], train.next_obs[i + 4 : i + 5]]) for i in starts])
    segments = Segments(obs, torch.stack([train.actions[i : i + 5] for i in starts]))
    found = MultiStepLoss(fitted, "mse")(stretches(train, starts, 5))
    # Imagination's last state is clamped too, the loss judges what was predicted.
    assert torch.allclose(found, rollout_error(fitted, segments).square().mean(dim=1), rtol=0.02)


def test_predictions_stay_within_the_limits(fitted: EnsembleDynamics, train: Transitions) -> None:
    fitted.normalizer.change.mul_(20)  # joints are predicted to go far out
    loss, (first, second) = MultiStepLoss(fitted, "mse"), stretches(train, [0, 7, 30], 2)
    low, high = limits(fitted.layout, first.obs.device)
    ahead = first.obs + fitted(first.obs, first.actions).mean * fitted.normalizer.change
    assert (ahead > high).any() and (ahead < low).any()
    clamped = second._replace(obs=ahead.clamp(low, high), is_continuation=None)
    assert torch.allclose(loss((first, second)), (loss((first,)) + loss((clamped,))) / 2)


def test_a_rollout_begins_anew_with_another_episode(fitted: EnsembleDynamics, train: Transitions) -> None:
    loss, last = MultiStepLoss(fitted, "mse"), 59  # of the first episode
    both, *single = (loss(stretches(train, [row], steps)) for row, steps in ((last, 2), (last, 1), (60, 1)))
    assert torch.allclose(both, (single[0] + single[1]) / 2)
    wrapped = loss(stretches(train, [len(train) - 1], 2))
    assert wrapped.isfinite().all()


def test_gradients_flow_through_the_predictions(fitted: EnsembleDynamics, train: Transitions) -> None:
    first, second = stretches(train, [3], 2)
    start = first.obs.clone().requires_grad_()

    def gradient(*steps: object) -> Tensor:
        loss = MultiStepLoss(fitted, "mse")((first._replace(obs=start), *steps))  # type: ignore[arg-type]
        return torch.autograd.grad(loss.sum(), start)[0]

    assert not torch.allclose(2 * gradient(second), gradient(), rtol=0.01)


def test_the_variance_is_learned_from_first_steps(build: Build, train: Transitions) -> None:
    dynamics = build(head="gaussian", members=3)
    first, second = stretches(train, [3, 9], 2)
    rows = dynamics.outputs  # of the last bias, those after it are the variance's
    for steps, factor in (((first,), 1.0), ((first, second), 0.5)):
        dynamics.zero_grad()
        MultiStepLoss(dynamics, "huber")(steps).sum().backward()
        found = dynamics.biases[-1].grad
        assert found is not None
        if len(steps) == 1:
            expected = found[:, rows:].clone()
        assert torch.allclose(found[:, rows:], factor * expected, rtol=1e-4)


@pytest.mark.parametrize(("loss", "same"), [("huber", True), ("mse", True), ("nll", False)])
def test_the_variance_has_no_say_in_the_mean_unless_the_loss_is_the_likelihood(
    build: Build, train: Transitions, loss: Loss, same: bool
) -> None:
    batch, gradients = stretches(train, [3, 9, 400], 1), []
    dynamics = build(head="gaussian", members=3)
    for noisy in (0.0, 3.0):
        with torch.no_grad():
            dynamics.biases[-1][:, dynamics.outputs :] = noisy
        dynamics.zero_grad()
        MultiStepLoss(dynamics, loss)(batch).sum().backward()
        assert dynamics.weights[0].grad is not None
        gradients.append(dynamics.weights[0].grad.clone())
    assert torch.allclose(*gradients, rtol=1e-4) == same
