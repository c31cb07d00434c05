"""Soft modularisation against the plain network and by hand."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from mbtransfer.mpc.task_policy import WIDTH, Scaled
from mbtransfer.transfer.policy.soft_modules import SoftModules


def test_one_module_in_each_layer_is_the_plain_network() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        plain, soft = Scaled(7, 3).layers, SoftModules(4, 3, 3, modules=1, layers=1, width=WIDTH)
        x = torch.randn(5, 2, 7)
    assert isinstance(plain, nn.Sequential)
    soft.encoder.load_state_dict(plain[:3].state_dict())
    for mine, other in ((soft.layers[0], plain[3]), (soft.last, plain[5])):
        mine.load_state_dict({name: value[None] for name, value in other.state_dict().items()})
    torch.testing.assert_close(soft(x), plain(x))


def test_routing_weights_sum_to_one_and_follow_the_context() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        soft, x = SoftModules(4, 3, 2, modules=4, layers=3, width=16), torch.randn(10, 7)
    routes = soft.routes(x)
    assert len(routes) == 3 and all(route.shape == (10, 4, 4) for route in routes)
    for route in routes:
        assert bool((route > 0).all())
        torch.testing.assert_close(route.sum(dim=-1), torch.ones(10, 4))
    other = soft.routes(torch.cat([x[:, :4], x[:, 4:] + 1.0], dim=1))
    assert all(bool((a - b).abs().max() > 1e-4) for a, b in zip(routes, other, strict=True))


def test_the_output_is_that_of_the_equations() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        soft, x = SoftModules(4, 3, 2, modules=2, layers=2, width=8), torch.randn(7)
    f, h = soft.encoder(x), soft.of_context(x[4:])
    p = [soft.down[0](torch.relu(f * h))]
    p.append(soft.down[1](torch.relu(soft.up[0](p[0]) * (f * h))))
    g = [f, f]
    layers: list[Any] = [*soft.layers]
    for layer, logits in zip(layers, p, strict=True):
        q = torch.softmax(logits.reshape(2, 2), dim=1)
        out = [torch.relu(layer.weight[j] @ g[j] + layer.bias[j]) for j in range(2)]
        g = [q[i, 0] * out[0] + q[i, 1] * out[1] for i in range(2)]
    expected = sum(soft.last.weight[j] @ g[j] + soft.last.bias[j] for j in range(2))
    torch.testing.assert_close(soft(x), expected)
