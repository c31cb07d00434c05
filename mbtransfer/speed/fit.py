"""Training speed beside the matrix products that it needs."""

import time
from collections.abc import Callable
from itertools import pairwise
from statistics import median
from typing import Any

import torch
from torch import Tensor

from mbtransfer.runtime.environment import threads as using
from world_models.dynamics.ensemble import EnsembleConfig, EnsembleDynamics
from world_models.layout import Layout
from world_models.training.batches import Epoch, InMemorySource
from world_models.training.config import LearningRate
from world_models.training.trainer import make_optimiser, train_steps
from world_models.transitions import Transitions

ROWS = 50_000
"""Transitions to train on: more than a processor's cache holds, as in use."""

UPDATES = 20
"""Updates in one turn; the two rates are measured by turns."""


def measure_fit(
    members: int = 5, hidden: int = 200, layers: int = 4, obs: int = 17, act: int = 6, batch: int = 256,
    threads: int = 1, device: str = "cpu", seconds: float = 3.0,
) -> dict[str, Any]:  # fmt: skip
    """Transitions per second of a training, and of its products alone.

    The training is all of it: shuffles, gathered rows, inputs, loss, gradients and Adam, in float32. The
    products are those of the layers, forward and backward, of the same shapes and type. Both are measured
    by turns in the same run, and the middle one of all turns counts; a transition counts once per member.

    Args:
        members: networks, each with its own rows.
        hidden: width of a hidden layer.
        layers: hidden layers.
        obs: observation columns.
        act: action columns.
        batch: transitions per member and update.
        threads: for tensors.
        device: cpu or cuda.
        seconds: how long to measure.

    Returns:
        `transitions_per_second`, `limit_transitions_per_second`, `fraction_of_limit`, `settings`.
    """
    settings = {
        "members": members, "hidden": hidden, "layers": layers, "obs": obs, "act": act, "batch": batch,
        "threads": threads, "device": device, "seconds": seconds, "dtype": "float32",
    }  # fmt: skip
    with using(threads):
        where = torch.device(device)
        turns = (
            _training(members, hidden, layers, obs, act, batch, where),
            _products(members, [obs + act, *[hidden] * layers, obs], batch, where),
        )
        took = _by_turns(turns, seconds, where)
    rate, limit = (members * batch * UPDATES / median(times) for times in took)
    return {
        "transitions_per_second": rate, "limit_transitions_per_second": limit,
        "fraction_of_limit": rate / limit, "settings": settings,
    }  # fmt: skip


def _training(
    members: int, hidden: int, layers: int, obs: int, act: int, batch: int, device: torch.device
) -> Callable[[int], object]:
    """Train on made-up transitions; every call is an epoch of its own."""
    layout = Layout(
        columns=tuple(f"x{i}" for i in range(obs)), low=(-1.0,) * obs, high=(1.0,) * obs,
        limited=(False,) * obs, action_size=act,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    shape = EnsembleConfig(members=members, structure="dense", hidden=hidden, layers=layers)
    dynamics = EnsembleDynamics(layout, shape, generator).to(device)
    now, actions, change = (torch.randn(ROWS, n, generator=generator) for n in (obs, act, obs))
    data = Transitions(now, actions, now + 0.1 * change).to(device)
    dynamics.normalizer.fit(data.obs, data.next_obs)
    source, optimiser = InMemorySource(data), make_optimiser(dynamics)

    def turn(number: int) -> Tensor:
        batches = source.batches(Epoch(0, number, members, UPDATES, batch))
        return train_steps(dynamics, optimiser, batches, lambda step: LearningRate(1e-3))

    return turn


@torch.no_grad()
def _products(members: int, sizes: list[int], batch: int, device: torch.device) -> Callable[[int], object]:
    """Multiply as training does: each layer's output, and its gradients by weights and by input."""
    generator = torch.Generator().manual_seed(0)
    layers = [
        [
            torch.randn(members, *shape, generator=generator).to(device)
            for shape in ((m, n), (n, batch), (m, batch))
        ]
        for n, m in pairwise(sizes)
    ]

    def turn(number: int) -> None:
        for _ in range(UPDATES):
            for i, (weight, x, grad) in enumerate(layers):
                torch.bmm(weight, x)
                torch.bmm(grad, x.transpose(1, 2))
                if i > 0:  # nothing asks for the gradient by the first layer's input
                    torch.bmm(weight.transpose(1, 2), grad)

    return turn


def _by_turns(
    turns: tuple[Callable[[int], object], ...], seconds: float, device: torch.device
) -> list[list[float]]:
    """Seconds of each call, after one of each that does not count."""
    took: list[list[float]] = [[] for _ in turns]
    end, number = time.perf_counter() + seconds, 0
    while number < 3 or time.perf_counter() < end:
        for turn, times in zip(turns, took, strict=True):
            begin = time.perf_counter()
            turn(number)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            times.append(time.perf_counter() - begin)
        number += 1
    return [times[1:] for times in took]
