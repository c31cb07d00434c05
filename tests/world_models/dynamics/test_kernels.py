"""The fastest kernel is measured once, and kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from world_models.dynamics import kernels
from world_models.dynamics.kernels import Kernel, choices, fastest

CPU = torch.device("cpu")

ALL = [
    Kernel("native"),
    Kernel("torch", "bfloat16"),
    Kernel("torch", "bfloat16", rows_first=True, multiple=16),
]


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[Kernel, float]:
    """How long each kernel takes; a trial is the kernel itself."""
    monkeypatch.setenv("MBTRANSFER_CACHE", str(tmp_path / "cache"))
    taken = dict.fromkeys(ALL, 1.0)
    monkeypatch.setattr(kernels, "_seconds", lambda trial: taken[trial()])
    return taken


def trial(kernel: Kernel) -> Callable[[], Kernel]:
    return lambda: kernel


def test_the_fastest_wins_and_is_kept(seconds: dict[Kernel, float], tmp_path: Path) -> None:
    seconds[ALL[2]] = 0.5
    assert fastest(ALL, {"rows": 64}, trial) == ALL[2]
    seconds[ALL[2]] = 9.0
    assert fastest(ALL, {"rows": 64}, trial) == ALL[2]
    assert fastest(ALL, {"rows": 128}, trial) == ALL[0]
    assert len(json.loads((tmp_path / "cache" / "kernels.json").read_text())) == 2


def test_in_doubt_it_is_the_first(seconds: dict[Kernel, float]) -> None:
    seconds[ALL[1]] = 0.98
    assert fastest(ALL, {}, trial) == ALL[0]


@pytest.mark.parametrize("damage", ["", "[1, 2]", "{", '{"a": 3}'])
def test_a_damaged_file_is_measured_again(seconds: dict[Kernel, float], tmp_path: Path, damage: str) -> None:
    seconds[ALL[1]] = 0.5
    file = tmp_path / "cache" / "kernels.json"
    file.parent.mkdir()
    file.write_text(damage)
    assert fastest(ALL, {}, trial) == ALL[1]
    seconds[ALL[1]] = 2.0
    assert fastest(ALL, {}, trial) == ALL[1]


def test_a_kernel_that_is_no_longer_there_is_not_taken(seconds: dict[Kernel, float]) -> None:
    seconds[ALL[0]] = 0.5
    assert fastest(ALL, {}, trial) == ALL[0]
    assert fastest(ALL[1:], {}, trial) == ALL[1]


def test_without_a_folder_to_keep_it_it_is_measured_each_time(
    seconds: dict[Kernel, float], tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("in the way")
    assert fastest(ALL, {}, trial) == ALL[0]
    seconds[ALL[1]] = 0.5
    assert fastest(ALL, {}, trial) == ALL[1]


@pytest.mark.parametrize("in_c", [(), ("float32",), ("float32", "bfloat16")])
def test_precisions_have_their_kernels(
    in_c: tuple[kernels.Precision, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = "native" if in_c else "torch"
    assert choices("float32", CPU, in_c) == [Kernel(engine, "float32")]
    reduced = choices("bfloat16", CPU, in_c)
    assert {kernel.precision for kernel in reduced} == {"bfloat16"}
    assert (Kernel("native", "bfloat16") in reduced) == ("bfloat16" in in_c)
    for there in (True, False):
        monkeypatch.setattr(kernels, "multiplies_bfloat16", lambda device, there=there: there)
        assert choices("auto", CPU, in_c) == [Kernel(engine, "float32"), *(reduced if there else [])]
