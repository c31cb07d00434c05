"""The network of the comparison: made for ours, and handed out as plain layers for everyone else."""

import torch
from torch import Tensor, nn

from world_models.dynamics.ensemble import EnsembleConfig, EnsembleDynamics
from world_models.layout import Layout


@torch.no_grad()
def random_ensemble(
    obs: int, action: int, members: int, hidden: int, layers: int, generator: torch.Generator
) -> EnsembleDynamics:
    """An ensemble that one can plan with, although it was never fitted.

    Members agree on most, as fitted ones do. At the origin nothing moves by itself; actions count for more
    than where one is, and biases keep most units alive, so that opposite actions do opposite things.
    """
    ends = ((-10.0,) * obs, (10.0,) * obs)
    layout = Layout(tuple(f"x{i}" for i in range(obs)), *ends, (False,) * obs, action)
    dynamics = EnsembleDynamics(layout, EnsembleConfig(members, "dense", hidden, layers), generator)
    before = 0.5 + 2 * torch.randn(1000, obs, generator=generator)
    dynamics.normalizer.fit(before, before + 0.1 * torch.randn(before.shape, generator=generator))
    for weight, bias in zip(dynamics.weights, dynamics.biases, strict=True):
        shared = torch.randn(weight.shape[1:], generator=generator)
        own = torch.randn(weight.shape, generator=generator)
        weight.copy_((shared + 0.1 * own) * (2 / weight.shape[2]) ** 0.5)
        bias.copy_(0.5 + 0.1 * torch.randn(bias.shape, generator=generator))
    dynamics.weights[0][:, :, :obs] *= 0.5
    dynamics.weights[0][:, :, obs:] *= 2.0
    drift = dynamics(torch.zeros(members, 1, obs), torch.zeros(members, 1, action)).mean
    dynamics.biases[-1] -= drift.mT
    return dynamics


@torch.no_grad()
def folded_layers(dynamics: EnsembleDynamics) -> list[tuple[Tensor, Tensor]]:
    """Weight [E in out] and bias [E 1 out] of each layer, the scales of observations and changes folded in.

    So next_obs = obs + network(cat(obs, action)). Only for a dense ensemble without objects and limits: it
    reads nothing but observation and action.
    """
    scales, size = dynamics.normalizer, dynamics.layout.obs_size
    pairs = zip(dynamics.weights, dynamics.biases, strict=True)
    layers = [(_transposed(weight), _transposed(bias)) for weight, bias in pairs]
    (first, first_bias), (last, last_bias) = layers[0], layers[-1]
    first[:, :size] /= scales.scale[:, None]
    first_bias -= (scales.centre @ first[:, :size])[:, None]
    last *= scales.change
    last_bias *= scales.change
    return layers


def _transposed(parameter: Tensor) -> Tensor:
    return parameter.detach().mT.clone(memory_format=torch.contiguous_format)


def plain_network(layers: list[tuple[Tensor, Tensor]], member: int) -> nn.Sequential:
    """One member as ordinary linear layers."""
    network = nn.Sequential()
    for weight, bias in layers:
        linear = nn.Linear(weight.shape[1], weight.shape[2])
        linear.weight.data, linear.bias.data = weight[member].T.contiguous(), bias[member, 0]
        network.extend([linear, nn.ReLU()])
    return network[:-1]
