"""A GPU gives what the CPU gives; the script that measures one says so where there is none."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

measure = pytest.importorskip("benchmarks.gpu.measure", reason="a wheel comes without benchmarks")

from mbtransfer.speed.workload import Work  # noqa: E402

ROOT = Path(__file__).parents[1]
SMALL = Work(members=2, particles=2, hidden=32, layers=2, candidates=16, horizon=4, iterations=1)
NO_GPU = os.environ | {"CUDA_VISIBLE_DEVICES": ""}

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_returns_are_those_of_the_cpu(precision: str) -> None:
    rows = {row["format"]: row for row in measure.correctness(Work(device="cuda"))}
    assert rows[precision]["good"], rows


@pytest.mark.gpu
@needs_gpu
def test_the_search_finds_a_known_optimum_on_the_gpu() -> None:
    assert measure.search_finds("cuda")


def test_the_parts_work_on_the_cpu() -> None:
    (exact, rough) = measure.correctness(SMALL)
    assert exact["difference"] == 0.0 and exact["good"] and rough["difference"] > 0.0
    assert measure.search_finds("cpu")
    (one,) = measure.batches("cpu", 0.0, (2,))
    assert one["episodes"] == 2 and one["decision_ms"] > 0
    assert measure.streams(SMALL, 0.0)["one"] > 0


def test_another_network_is_not_taken_for_the_same() -> None:
    plans = torch.rand(20, SMALL.horizon, SMALL.act)
    one, other = (measure.returns(replace(SMALL, layers=n), plans) for n in (2, 3))
    assert float((one - other).abs().max() / one.std()) > measure.TOLERANCE["bfloat16"]


def test_a_part_that_fails_is_named() -> None:
    def broken() -> dict[str, float]:
        raise RuntimeError("out of\nmemory")

    assert measure.each(broken, episodes=3) == {"episodes": 3, "failed": "RuntimeError: out of memory"}


@pytest.mark.slow
@pytest.mark.slow
def test_without_a_gpu_it_says_so() -> None:
    line = [sys.executable, "-m", "benchmarks.gpu"]
    done = subprocess.run(line, capture_output=True, text=True, env=NO_GPU, cwd=ROOT, check=False)
    assert done.returncode == 2 and done.stderr.startswith("error: PyTorch sees no CUDA device")
    script = subprocess.run(
        ["sh", "benchmarks/gpu.sh"], capture_output=True, text=True, cwd=ROOT, check=False,
        env=NO_GPU | {"PYTHON": sys.executable},
    )  # fmt: skip
    assert script.returncode == 2 and "no PyTorch that sees a GPU" in script.stderr


@pytest.mark.slow
def test_the_whole_script_on_the_cpu(tmp_path: Path) -> None:
    line = [
        sys.executable,
        "-m",
        "benchmarks.gpu",
        "--device",
        "cpu",
        "--seconds",
        "0.1",
        "--out",
        str(tmp_path),
    ]
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode in (0, 1), done.stderr  # bfloat16 may be rough
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert {"correctness", "decisions", "batches", "training", "streams"} <= found.keys()
    assert "One decision" in (tmp_path / "gpu.md").read_text()
