"""The parts of `benchmarks.structures` that decide what its numbers mean."""

from __future__ import annotations

import pytest
import torch

pools = pytest.importorskip("benchmarks.pools", reason="a wheel comes without benchmarks")
structures = pytest.importorskip("benchmarks.structures")
roll_outs = pytest.importorskip("benchmarks.roll_outs")

from tasks.registry import make  # noqa: E402
from world_models.dynamics.ensemble import EnsembleDynamics  # noqa: E402
from world_models.transitions import Segments, Transitions  # noqa: E402

SPEC = make("kitchen").spec
KNOB = SPEC.fixture("right_knob")


def walk(rows: int, steps: int) -> torch.Tensor:
    """Observations [rows, steps + 1, O] within the ranges, far from every handle, that drift."""
    generator = torch.Generator().manual_seed(0)
    low, high = (torch.tensor([getattr(v, end) for v in SPEC.observation]) for end in ("low", "high"))
    start = low + (high - low) * torch.rand(rows, 1, SPEC.obs_size, generator=generator)
    path = start + 0.001 * torch.arange(steps + 1)[:, None]
    for fixture in SPEC.fixtures:
        path[..., list(fixture.handle)] = 1.0
    path[..., KNOB.position] = 0.5
    return path


def test_a_poor_pool_lacks_what_touches_or_moves_a_fixture() -> None:
    path = walk(60, 1)
    path[:20, :, list(KNOB.handle)] = 0.01  # near
    path[20:30, 1, KNOB.position] += 0.1  # moved, as by a push elsewhere
    data = Transitions(path[:, 0], torch.zeros(60, SPEC.action_size), path[:, 1])
    assert len(pools.without(data, {KNOB: 0})) == 30
    assert len(pools.without(data, {KNOB: 7})) == 37


def test_a_model_that_expects_nothing_errs_as_nothing_moves() -> None:
    path = walk(40, 5)
    path[:10, 1:, KNOB.position] += torch.linspace(0.1, 0.5, 5)
    paths = Segments(path, torch.zeros(40, 5, SPEC.action_size))
    data = Transitions(path[:, 0], paths.actions[:, 0], path[:, 1])
    alone = roll_outs.Judge.of_one(paths, KNOB, data)
    assert len(alone.paths) == 10 and alone.unit.isfinite().nonzero().flatten().tolist() == [KNOB.position]
    variant = structures.VARIANTS["shared"]
    still = EnsembleDynamics(variant.layout(SPEC), variant.shape)
    with torch.no_grad():
        for layer in (still.weights[-1], still.biases[-1]):
            layer.zero_()
    for judge in (alone, roll_outs.Judge.of_all(paths, data)):
        assert judge.error(still) == pytest.approx([1.0] * 5, abs=0.05)


def test_the_table_has_a_line_for_each_structure() -> None:
    run = {
        "error": {1: 0.1, 5: 0.2, 10: 0.3}, "unseen_and_rare": {"tap": 0.9}, "seen": {"tap": 0.4},
        "ms": {"float32": 4.0, "bfloat16": 2.0}, "weights": 1000, "updates": 2000,
    }  # fmt: skip
    lines = structures.as_markdown({"objects": [run, run], "shared": [run]}).splitlines()
    assert lines[0].count("|") == lines[1].count("|") == lines[2].count("|")
    assert lines[2] == "| objects | 0.100 | 0.200 | 0.300 | 0.90 / 0.40 | 4.0 / 2.0 | 1,000 | 2,000 |"
