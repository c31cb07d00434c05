"""Penalties on a quadratic loss, where the best weights are known."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from world_models.adaptation.anchors import Anchor, AnchoredAdam, equal_importance, fisher
from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.training.config import OneCycle
from world_models.transitions import Transitions

Build = Callable[..., EnsembleDynamics]


@pytest.fixture
def line(generator: torch.Generator) -> tuple[nn.Linear, Tensor, Tensor]:
    """A linear network of three inputs, and a target that it does not fit."""
    network = nn.Linear(3, 1, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.randn(1, 3, generator=generator))
    return network, torch.randn(50, 3, generator=generator), torch.randn(50, 1, generator=generator)


def learn(network: nn.Linear, inputs: Tensor, target: Tensor, optimiser: AnchoredAdam) -> None:
    cycle, steps = OneCycle(0.05), 600
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = cycle(step / steps).learning_rate
        optimiser.zero_grad()
        (network(inputs) - target).square().mean().backward()
        optimiser.step()


@pytest.mark.parametrize("strength", [0.0, 0.3, 20.0])
def test_learning_ends_where_loss_and_penalty_balance(
    line: tuple[nn.Linear, Tensor, Tensor], strength: float
) -> None:
    network, inputs, target = line
    old, importance = network.weight.detach().clone(), torch.tensor([[0.0, 1.0, 4.0]])
    anchor = Anchor.of(network, strength, {"weight": importance})
    learn(network, inputs, target, AnchoredAdam(network, anchor))
    hold = torch.diag(strength * importance[0])
    hessian = 2 / 50 * inputs.T @ inputs
    best = torch.linalg.solve(hessian + hold, 2 / 50 * inputs.T @ target + hold @ old.T)
    torch.testing.assert_close(network.weight.detach(), best.T, atol=1e-3, rtol=1e-3)


def test_an_infinite_force_holds_what_matters_and_nothing_else(
    line: tuple[nn.Linear, Tensor, Tensor],
) -> None:
    network, inputs, target = line
    old = network.weight.detach().clone()
    anchor = Anchor.of(network, torch.inf, {"weight": torch.tensor([[0.0, 1.0, 4.0]])})
    learn(network, inputs, target, AnchoredAdam(network, anchor))
    assert torch.equal(network.weight[:, 1:], old[:, 1:]) and not torch.equal(network.weight, old)
    assert float(anchor.penalty(network, 1)) == 0.0


def test_the_penalty_of_each_member_is_its_own(build: Build) -> None:
    dynamics = build()
    anchor = Anchor.of(dynamics, 0.5, equal_importance(dynamics))
    with torch.no_grad():
        dynamics.weights[0][: dynamics.blocks, 0, 0] += 2.0  # all blocks of the first member
        dynamics.biases[0][-1, 0] += 1.0
    expected = torch.tensor([0.25 * 4.0 * dynamics.blocks, 0.25])
    torch.testing.assert_close(anchor.penalty(dynamics, 2), expected, atol=1e-4, rtol=1e-4)


def hidden(dynamics: EnsembleDynamics, data: Transitions) -> Tensor:
    """[E, h, B]: the units of the only hidden layer of a dense ensemble."""
    members = dynamics.config.members
    obs, action = (x.T.expand(members, -1, -1) for x in (data.obs, data.actions))
    inputs, _ = dynamics.features(obs, action)
    return torch.relu(dynamics.weights[0] @ inputs[:, dynamics.reads[0]] + dynamics.biases[0]).detach()


@pytest.mark.parametrize(("loss", "curvature"), [("huber", 1.0), ("mse", 2.0)])
def test_the_information_of_the_last_layer_is_the_mean_square_of_what_it_reads(
    build: Build, valid: Transitions, generator: torch.Generator, loss: str, curvature: float
) -> None:
    dynamics = build(structure="dense", layers=1)
    data = valid[:100]
    found = fisher(dynamics, data, generator, loss)  # type: ignore[arg-type]
    expected = curvature / 16 * hidden(dynamics, data).square().mean(dim=2)
    torch.testing.assert_close(found["weights.1"], expected[:, None].expand(-1, 16, -1), atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(found["biases.1"], torch.full((2, 16, 1), curvature / 16))


def test_the_information_of_a_lower_layer_is_the_sum_over_columns(
    build: Build, valid: Transitions, generator: torch.Generator
) -> None:
    dynamics, few = build(structure="dense", layers=1), valid[:4]
    data = Transitions(*(x.repeat(1000, 1) for x in (few.obs, few.actions, few.next_obs)))
    found = fisher(dynamics, data, generator)["biases.0"][..., 0]
    active = (
        hidden(dynamics, few) > 0
    ).float()  # the derivative of a column by a bias: its weight, where active
    expected = (dynamics.weights[1].detach().square().sum(dim=1)[..., None] * active).mean(dim=2) / 16
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0.25)
    assert float(found.sum() / expected.sum()) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("structure", ["objects", "shared", "attention"])
@pytest.mark.parametrize("head", ["deterministic", "gaussian"])
def test_every_weight_that_learns_has_its_information(
    build: Build, valid: Transitions, generator: torch.Generator, structure: str, head: str
) -> None:
    dynamics = build(structure=structure, head=head)
    dynamics.weights[0].requires_grad_(False)
    found = fisher(dynamics, valid[:40], generator)
    assert set(found) == {name for name, _ in dynamics.named_parameters()} - {"weights.0"}
    assert all(bool((value >= 0).all()) and float(value.sum()) > 0 for value in found.values())
    spread = found["biases.2"].unflatten(0, (2, -1))[:, 0, dynamics.outputs :]
    assert (float(spread.sum()) > 0) == (head == "gaussian")
