"""Plans multiplied out in bfloat16 come out as in float32, and `auto` takes it where the hardware has it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from world_models.dynamics.ensemble import EnsembleDynamics, run_blocks
from world_models.dynamics.kernels import Kernel
from world_models.dynamics.layers import Layers, rectified
from world_models.dynamics.precision import Precision, dtype_of
from world_models.dynamics.rollout import Imagination
from world_models.errors import ModelError
from world_models.transitions import Segments
from world_models.uncertainty.forecast import resting_error

Build = Callable[..., EnsembleDynamics]
CPU = torch.device("cpu")


def drift(dynamics: EnsembleDynamics, segments: Segments) -> Tensor:
    """How far bfloat16 strays from float32 over the horizon, as a share of what moves at all: [H]."""
    paths = [Imagination(dynamics, 3, precision=p)(segments.obs[:, 0], segments.actions).obs for p in WAYS]
    change = dynamics.normalizer.change
    gap = ((paths[0] - paths[1]) / change).square().mean(dim=(1, 2, 3)).sqrt()[1:]
    return gap / resting_error(dynamics, segments)


WAYS = ("float32", "bfloat16")


def test_bfloat16_strays_little(fitted: EnsembleDynamics, segments: Segments) -> None:
    assert float(drift(fitted, segments).max()) < 0.03


@pytest.mark.parametrize("structure", ["objects", "dense"])
@pytest.mark.parametrize("head", ["deterministic", "gaussian"])
def test_every_structure_and_head_runs_in_it(
    build: Build, segments: Segments, structure: str, head: str
) -> None:
    dynamics = build(structure=structure, head=head)
    follow = Imagination(dynamics, 2, precision="bfloat16")
    path = follow(segments.obs[:, 0], segments.actions, torch.Generator().manual_seed(0)).obs
    assert path.dtype == torch.float32 and bool(path.isfinite().all())


def test_a_state_that_is_no_number_stays_so(fitted: EnsembleDynamics, segments: Segments) -> None:
    """Telling signs by integers must not wash a NaN out."""
    obs = segments.obs[:, 0].clone()
    obs[3, 0] = torch.nan
    path = Imagination(fitted, 2, precision="bfloat16")(obs, segments.actions).obs
    assert bool(path[1:, :, 3, 0].isnan().all())
    assert bool(path[:, :, [0, 1, 2, 4]].isfinite().all())


def test_the_positive_part_of_every_bfloat16() -> None:
    every = torch.arange(-(2**15), 2**15, dtype=torch.int16).view(torch.bfloat16)
    numbers = every[~every.isnan()]
    assert torch.equal(rectified(numbers.clone()), torch.relu(numbers))


@pytest.mark.parametrize("rows_first", [False, True])
@pytest.mark.parametrize("multiple", [1, 16])
@pytest.mark.parametrize("precision", WAYS)
def test_layers_are_the_blocks(
    build: Build, generator: torch.Generator, precision: Precision, rows_first: bool, multiple: int
) -> None:
    dynamics = build()
    with torch.no_grad():
        for bias in dynamics.biases:
            bias.copy_(torch.randn(bias.shape, generator=generator))
    weights, biases = [w.detach() for w in dynamics.weights], [b.detach() for b in dynamics.biases]
    inputs = torch.randn(2, int(dynamics.reads.max()) + 2, 7, generator=generator)
    inputs[:, -2:] = torch.tensor([0.0, 1.0])[:, None]
    kernel = Kernel("torch", precision, rows_first, multiple)
    layers = Layers(weights, biases, dynamics.reads, inputs.shape[1] - 1, kernel)
    expected = run_blocks(inputs[:, dynamics.reads.flatten()], weights, biases)
    close = 1e-5 if precision == "float32" else 0.05
    for _ in range(2):  # the second time in the same buffers
        assert torch.allclose(layers(inputs).float(), expected, atol=close, rtol=close)
    assert layers(inputs[..., :3]).shape[-1] == 3


@pytest.mark.parametrize("way", WAYS)
def test_plans_have_gradients(fitted: EnsembleDynamics, segments: Segments, way: str) -> None:
    """The same path with and without; the gradient is that of a finite difference."""
    follow = Imagination(fitted, 2, precision=way)  # type: ignore[arg-type]
    obs, plans = segments.obs[:8, 0], segments.actions[:8].clone().requires_grad_()
    path = follow(obs, plans).obs
    assert torch.allclose(path, follow(obs, plans.detach()).obs, atol=1e-2 if way == "bfloat16" else 1e-6)
    path[-1, ..., 0].mean(dim=0).sum().backward()
    assert plans.grad is not None
    if way == "float32":
        step = torch.zeros_like(plans)
        step[:, 3, 0] = 1e-2
        ends = [follow(obs, plans.detach() + sign * step).obs[-1, ..., 0].mean(dim=0) for sign in (1, -1)]
        slope = (ends[0] - ends[1]) / 2e-2
        assert torch.allclose(plans.grad[:, 3, 0], slope, atol=0.1 * float(slope.abs().max()) + 1e-4)
    assert all(value.grad is None for value in fitted.parameters())


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("amx_bf16", torch.bfloat16), ("avx512_bf16", torch.bfloat16), ("avx2", torch.float32)],
)
def test_auto_goes_by_what_the_processor_has(
    unit: str, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {unit: True}, raising=False)
    assert dtype_of("auto", CPU) == expected


@pytest.mark.parametrize(("capability", "expected"), [((9, 0), torch.bfloat16), ((7, 5), torch.float32)])
def test_auto_goes_by_the_generation_of_the_gpu(
    capability: tuple[int, int], expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert dtype_of("auto", torch.device("cuda", 0)) == expected


def test_an_unknown_precision_is_refused(build: Build) -> None:
    with pytest.raises((ModelError, TypeError), match="precision"):
        Imagination(build(), 2, precision="float8")  # type: ignore[arg-type]


def test_many_rows_are_followed_in_parts_with_the_same_result(
    fitted: EnsembleDynamics, segments: Segments, monkeypatch: pytest.MonkeyPatch
) -> None:
    obs, actions = segments.obs[:50, 0], segments.actions[:50]
    whole = Imagination(fitted, 3)(obs, actions).obs
    monkeypatch.setattr(Layers, "rows_at_once", lambda self, rows: 17)
    parts = Imagination(fitted, 3)(obs, actions).obs
    assert torch.allclose(whole, parts, atol=1e-5)


COMPILED = """
import sys, torch
from world_models.dynamics.ensemble import EnsembleConfig, EnsembleDynamics
from world_models.dynamics.rollout import Imagination
from world_models.layout import Layout
layout = Layout(tuple("abcde"), (-1.0,) * 5, (1.0,) * 5, (True, False) * 2 + (True,), 2)
dynamics = EnsembleDynamics(layout, EnsembleConfig(3, "dense", 16), torch.Generator().manual_seed(0))
obs, plans = torch.rand(20, 5) - 0.5, torch.rand(20, 6, 2) - 0.5
plain, fused = (Imagination(dynamics, 2, "tsinf", sys.argv[1], compiled) for compiled in (False, True))
for rows in (20, 7):
    gap = plain(obs[:rows], plans[:rows]).obs - fused(obs[:rows], plans[:rows]).obs
    assert float(gap.abs().max()) < (1e-5 if sys.argv[1] == "float32" else 1e-2), gap.abs().max()
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler here")
@pytest.mark.parametrize("way", WAYS)
def test_compiled_steps_go_the_same_way(way: str) -> None:
    """In a process of its own: the checks of shapes in tests and the compiler do not get along."""
    done = subprocess.run([sys.executable, "-c", COMPILED, way], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_without_a_compiler_it_says_so(tmp_path: Path) -> None:
    nothing = {"PATH": str(tmp_path), "CXX": "/nonexistent", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", COMPILED, "float32"],
        capture_output=True, text=True, check=False, env=os.environ | nothing,
    )  # fmt: skip
    assert "ModelError: steps cannot be compiled here" in done.stderr.splitlines()[-1]


def test_noise_of_its_own_cannot_be_compiled(build: Build) -> None:
    with pytest.raises(ModelError, match="cannot be compiled"):
        Imagination(build(head="gaussian"), 2, compiled=True)
