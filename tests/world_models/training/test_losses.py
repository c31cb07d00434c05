from __future__ import annotations

import pytest
import torch

from world_models.dynamics.ensemble import Gaussian
from world_models.training.losses import Loss, prediction_loss


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


@pytest.mark.parametrize(("beta", "other"), [(0.0, "nll"), (1.0, "mse")])
def test_beta_nll_lies_between_likelihood_and_squares(
    generator: torch.Generator, monkeypatch: pytest.MonkeyPatch, beta: float, other: Loss
) -> None:
    monkeypatch.setattr("world_models.training.losses.BETA", beta)
    mean, logvar, target = (torch.randn(2, 3, 4, generator=generator).requires_grad_() for _ in range(3))
    found, expected = (
        torch.autograd.grad(prediction_loss(Gaussian(mean, logvar), target.detach(), loss).sum(), mean)[0]
        for loss in ("beta_nll", other)
    )
    assert torch.allclose(found * (2 if other == "mse" else 1), expected, atol=1e-6)


def test_beta_nll_learns_the_variance_that_there_is(generator: torch.Generator) -> None:
    logvar = torch.zeros(1, 1, 2, requires_grad=True)
    target = torch.randn(1, 4000, 2, generator=generator) * torch.tensor([0.5, 2.0])
    optimiser = torch.optim.Adam([logvar], lr=0.05)
    for _ in range(200):
        optimiser.zero_grad()
        predicted = Gaussian(torch.zeros_like(target), logvar.expand_as(target))
        prediction_loss(predicted, target, "beta_nll").sum().backward()
        optimiser.step()
    assert torch.allclose((logvar / 2).exp().flatten(), torch.tensor([0.5, 2.0]), rtol=0.05)
