"""One model fitted by two processes of torchrun: the one that a single process makes, to the last bit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mbtransfer.data import Dataset
from mbtransfer.model import Model
from mbtransfer.training.fit import fit_model
from tasks.registry import make
from world_models.dynamics.ensemble import EnsembleConfig
from world_models.errors import ModelError
from world_models.training.distributed import SINGLE_PROCESS, process_group
from world_models.training.trainer import TrainingConfig

EPOCHS = 4


@pytest.fixture(scope="module")
def single(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Three members, fitted by one process."""
    shape, settings = EnsembleConfig(members=3, hidden=8), TrainingConfig(epochs=EPOCHS, batch=64)
    out = tmp_path_factory.mktemp("single")
    return fit_model(make("kitchen"), dataset, out, shape=shape, settings=settings, device="cpu")


def torchrun(data: Path, out: Path, *more: str, processes: int = 2) -> list[str]:
    line = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        str(processes),
        "-m",
        "mbtransfer",
    ]
    line += ["fit", "--data", str(data), "--out", str(out), "--members", "3", "--hidden", "8"]
    return [*line, "--epochs", str(EPOCHS), "--batch", "64", *more]


def curve(model: Model) -> list[dict[str, Any]]:
    return [{name: x for name, x in epoch.items() if name != "seconds"} for epoch in model.notes["curve"]]


def check_same(single: Model, out: Path) -> None:
    found = Model.load(out, device="cpu")
    assert found.digest == single.digest and curve(found) == curve(single)
    assert found.dynamics.elites.tolist() == single.dynamics.elites.tolist()
    assert sorted(path.name.partition("-")[0] for path in out.iterdir()) == [
        "dynamics",
        "manifest.json",
        "pool",
    ]


@pytest.mark.slow
def test_two_processes_make_the_model_of_one(dataset: Dataset, single: Model, tmp_path: Path) -> None:
    run = subprocess.run(
        torchrun(dataset.path, tmp_path / "out"), capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("fitted on") == 1
    check_same(single, tmp_path / "out")


@pytest.mark.slow
def test_a_process_is_lost_and_the_same_command_goes_on(
    dataset: Dataset, single: Model, tmp_path: Path
) -> None:
    """The second process kills itself in its third epoch; the first has written two or three by then."""
    out, spoilt = tmp_path / "out", tmp_path / "sitecustomize.py"
    spoilt.write_text(SPOILT)
    line, path = torchrun(dataset.path, out), os.pathsep.join([str(tmp_path), *sys.path])
    run = subprocess.run(
        line, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert run.returncode != 0 and "rank      : 1" in run.stderr
    assert [file.name for file in out.iterdir()] == ["training.safetensors"]
    spoilt.unlink()
    run = subprocess.run(
        line, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    check_same(single, out)


SPOILT = """
import os
if os.environ.get("RANK") == "1":
    import signal
    from world_models.training.state import TrainingProgress
    keep, times = TrainingProgress.keep_better, []
    def thrice(*args):
        times.append(1)
        if len(times) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return keep(*args)
    TrainingProgress.keep_better = thrice
"""


def test_without_torchrun_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")  # of something else that runs here
    with process_group("auto") as found:
        assert found == (SINGLE_PROCESS, "auto")


@pytest.mark.parametrize(
    ("device", "words"), [("cuda:1", "give cuda"), ("cuda", "process 9 of this machine")]
)
def test_a_gpu_that_is_not_there_or_for_all_is_refused(
    monkeypatch: pytest.MonkeyPatch, device: str, words: str
) -> None:
    known = {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "9", "RANK": "8", "LOCAL_RANK": "8"}
    for name, value in known.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ModelError, match=words), process_group(device):
        pass
