"""Roll-outs in C go the way that torch takes, for every layout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from world_models.dynamics.ensemble import EnsembleConfig, EnsembleDynamics
from world_models.dynamics.features import FAINT
from world_models.dynamics.kernels import Kernel
from world_models.dynamics.native import in_c
from world_models.dynamics.precision import Precision
from world_models.dynamics.rollout import Imagination, Propagation
from world_models.layout import Layout
from world_models.transitions import Segments

Build = Callable[..., EnsembleDynamics]

pytestmark = pytest.mark.skipif(not in_c(), reason="no C compiler here")

CLOSE = {"float32": 2e-5, "bfloat16": 0.05}


def ensemble(layout: Layout, seed: int = 0, **settings: object) -> EnsembleDynamics:
    """One whose outputs are large, and whose biases are not zero."""
    config = replace(EnsembleConfig(members=3, hidden=20), **settings)  # type: ignore[arg-type]
    source = torch.Generator().manual_seed(seed)
    dynamics = EnsembleDynamics(layout, config, source)
    with torch.no_grad():
        for bias in dynamics.biases:
            bias.copy_(0.3 * torch.randn(bias.shape, generator=source))
        dynamics.weights[-1].mul_(5.0)
    return dynamics


def layouts(layout: Layout) -> dict[str, Layout]:
    """The sliders' room, the same with a hand that turns, with an angle, and columns that are nothing special."""
    size = layout.obs_size
    turned = replace(
        layout, columns=(*layout.columns, *(f"axis {i}" for i in range(9))), low=layout.low + (-1.0,) * 9,
        high=layout.high + (1.0,) * 9, limited=layout.limited + (False,) * 9, axes=tuple(range(size, size + 9)),
    )  # fmt: skip
    free = tuple(limited and column != 3 for column, limited in enumerate(layout.limited))
    plain = Layout(tuple("abcde"), (-1.0,) * 5, (1.0,) * 5, (True, False, True, False, False), 2, angles=(3,))
    return {
        "room": layout,
        "turned": turned,
        "angle": replace(layout, limited=free, angles=(3,)),
        "plain": plain,
    }


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("propagation", ["tsinf", "mean"])
@pytest.mark.parametrize(
    ("name", "structure"),
    [("room", "objects"), ("room", "shared"), ("room", "dense"), ("turned", "objects"), ("angle", "objects"),
     ("plain", "dense")],
)  # fmt: skip
def test_every_layout_goes_the_same_way(
    layout: Layout, name: str, structure: str, propagation: Propagation, precision: Precision
) -> None:
    if precision not in in_c():
        pytest.skip("no products in bfloat16 here")
    one = layouts(layout)[name]
    dynamics, source = ensemble(one, structure=structure), torch.Generator().manual_seed(1)
    for rows in (1, 16, 37):
        obs = 0.3 * torch.randn(rows, one.obs_size, generator=source)
        plans = 2 * torch.rand(rows, 6, one.action_size, generator=source) - 1
        expected, found = (
            Imagination(dynamics, 2, propagation, kernel=kernel)(obs, plans)
            for kernel in (Kernel("torch"), Kernel("native", precision))
        )
        gap = (found.particles - expected.particles) / dynamics.normalizer.change
        moved = (expected.particles[1:] - expected.particles[:-1]) / dynamics.normalizer.change
        assert float(gap.abs().max()) < CLOSE[precision] * float(moved.abs().max())
        assert torch.equal(found.obs, found.particles.mean(dim=1, keepdim=True)) == (propagation == "mean")


def test_far_from_everything_only_the_hand_moves(layout: Layout) -> None:
    dynamics = ensemble(layout)
    obs = torch.zeros(20, layout.obs_size)
    obs[:, 10:] = 0.9  # vectors to the sliders
    path = Imagination(dynamics, 1, kernel=Kernel("native"))(obs, torch.ones(20, 1, 3)).particles
    assert bool((path[1, ..., [3, 4, 8, 9]] == 0).all())
    assert bool((path[1, ..., :3] != 0).any())


def test_a_gate_that_opens_for_one_row_counts_for_that_row(layout: Layout) -> None:
    dynamics = ensemble(layout)
    obs = torch.zeros(16, layout.obs_size)
    obs[:, 10:] = 0.9
    obs[5, 10:] = 0.05
    path = Imagination(dynamics, 1, kernel=Kernel("native"))(obs, torch.ones(16, 1, 3)).particles
    moved = (path[1, 0][:, [3, 4, 8, 9]] != 0).any(dim=1)
    assert moved.nonzero().flatten().tolist() == [5]
    assert 0 < FAINT < 1e-3


def test_what_is_not_a_number_stays_so_and_alone(fitted: EnsembleDynamics, segments: Segments) -> None:
    obs = segments.obs[:, 0].clone()
    obs[3, 0] = torch.nan
    for precision in in_c():
        path = Imagination(fitted, 2, kernel=Kernel("native", precision))(obs, segments.actions).obs
        assert bool(path[1:, :, 3, 0].isnan().all())
        assert bool(path[:, :, [0, 1, 2, 4]].isfinite().all())


def test_threads_share_the_rows(fitted: EnsembleDynamics, segments: Segments) -> None:
    follow = Imagination(fitted, 2, kernel=Kernel("native"))
    alone = follow(segments.obs[:, 0], segments.actions).obs
    torch.set_num_threads(2)
    try:
        assert torch.equal(follow(segments.obs[:, 0], segments.actions).obs, alone)
    finally:
        torch.set_num_threads(1)


def test_the_products_alone_run(fitted: EnsembleDynamics) -> None:
    for kernel in (
        Kernel("native"),
        Kernel("torch"),
        Kernel("torch", "bfloat16", rows_first=True, multiple=16),
    ):
        Imagination(fitted, 2, kernel=kernel).multiply(steps=2, rows=33)


def test_what_c_cannot_do_goes_through_torch(build: Build) -> None:
    for settings in ({"head": "gaussian"}, {"structure": "attention"}):
        assert Imagination(build(**settings), 2).kernel.engine == "torch"
    assert Imagination(build(), 2, "ts1").kernel.engine == "torch"
    assert Imagination(build(), 2).kernel == Kernel("native", "float32")
