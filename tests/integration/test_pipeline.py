"""The commands one after the other, as a user calls them, and what they make of wrong input."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mbtransfer.cli import main
from mbtransfer.dataset import Dataset
from mbtransfer.model import Model
from mbtransfer.rows import read_rows
from world_models.storage import digest, load_tensors, save_tensors

COMMAND = [sys.executable, "-m", "mbtransfer"]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "120", "MUJOCO_GL": "off"}
FIT = ("--epochs", "4", "--hidden", "16", "--members", "2", "--device", "cpu")
SEARCH = ("--horizon", "4", "--candidates", "16", "--iterations", "1", "--device", "cpu")


@pytest.fixture(autouse=True)
def _own_warnings() -> Iterator[None]:
    """`main` decides how warnings are shown; not beyond the test."""
    with warnings.catch_warnings():
        yield


def run(*argv: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, argv)], capture_output=True, text=True, env=ENVIRONMENT, timeout=120
    )


def done(*argv: str | Path) -> str:
    """What a command says that works."""
    ended = run(*argv)
    assert ended.returncode == 0 and not ended.stderr, ended
    return ended.stdout


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pipeline") / "data"
    done("collect", "--env", "kitchen", "--out", path, "--steps", "6000", "--workers", "1")
    return path


@pytest.fixture(scope="module")
def model(data: Path) -> Path:
    path = data.parent / "model"
    assert "fitted on 6,000 transitions" in done("fit", "--data", data, "--out", path, *FIT)
    return path


def test_evaluate_writes_rows_and_a_summary(
    model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rows, path = tmp_path / "rows.csv", tmp_path / "found.json"
    line = ("evaluate", "--model", model, "--tasks", "tap_open", "microwave_half", "--seeds", "0", "1",
            "--labels", "300",
            "--episodes", "2", "--workers", "1", "--rows", rows, "--json", path, *SEARCH)  # fmt: skip
    assert "tap_open" in done(*line)
    found = json.loads(path.read_text())
    assert set(found) == {"tasks", "splits", "decisions", "diverged", "plan_ms", "settings"}
    assert [(task["name"], task["split"], task["episodes"]) for task in found["tasks"]] == [
        ("tap_open", "source", 4), ("microwave_half", "held_out", 4),
    ]  # fmt: skip
    assert {"name", "split", "episodes", "success_rate", "return_mean", "steps_to_success_mean"} <= set(
        found["tasks"][0]
    )
    for split in ("source", "held_out"):
        low, high = found["splits"][split]["success_ci95"]
        assert 0 <= low <= found["splits"][split]["success_mean"] <= high <= 1
        assert {"success_iqm", "success_median", "success_min"} <= set(found["splits"][split])
    assert set(found["plan_ms"]) == {"p50", "p95", "p99", "first"} and found["settings"]["planner"] == "mppi"
    table = read_rows(rows)
    assert len(table) == 8 and set(table["reward"]) == set(table["dynamics"]) == {"learned"}
    capfd.readouterr()
    assert main([str(part) for part in line]) == 0
    assert "8 of 8 episodes are in" in capfd.readouterr().out  # the same command again finds all done
    assert main(["report", str(tmp_path)]) == 0
    assert "tap open" in (tmp_path / "report.html").read_text().replace("_", " ")


def test_check_warns_or_trusts_and_writes_why(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "check.json"
    (tmp_path / "own.yaml").write_text("name: own\nsteps: [tap_open, light_on]\n")
    recipe = tmp_path / "own.yaml"
    done("check", "--model", model, "--recipe", recipe, "--json", path, "--device", "cpu")
    found = json.loads(path.read_text())
    assert [step["task"] for step in found["steps"]] == ["tap_open", "light_on"]
    assert found["trusted"] == (not found["warnings"])
    assert found["risk"] == max(step["risk"] for step in found["steps"])
    assert all(0 <= step[key] <= 1 for step in found["steps"] for key in ("coverage", "risk"))


@pytest.mark.slow
def test_adapt_makes_a_model_that_can_be_evaluated(model: Path, tmp_path: Path) -> None:
    before = Model.load(model, device="cpu").digest
    out, path = tmp_path / "adapted", tmp_path / "adapt.json"
    done("adapt", "--model", model, "--task", "slide_cabinet_open", "--episodes", "1", "--out", out,
         "--json", path, *SEARCH)  # fmt: skip
    found = json.loads(path.read_text())
    assert found["task"] == "slide_cabinet_open" and found["episodes"] == 1
    for part in ("new", "old"):
        assert all(0 <= found[part][when] <= 1 for when in ("before", "after"))
    assert Model.load(model, device="cpu").digest == before != Model.load(out, device="cpu").digest
    done(
        "evaluate",
        "--model",
        out,
        "--tasks",
        "slide_cabinet_open",
        "--episodes",
        "1",
        "--workers",
        "1",
        *SEARCH,
    )


def test_a_fit_that_is_killed_goes_on_where_it_was(data: Path, model: Path, tmp_path: Path) -> None:
    line = ["fit", "--data", str(data), "--out", str(tmp_path / "model"), *FIT]
    process = subprocess.Popen([*COMMAND, *line], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env=ENVIRONMENT)  # fmt: skip
    state = tmp_path / "model" / "training.safetensors"
    while process.poll() is None and not state.exists():
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=30) == -signal.SIGKILL
    assert not (tmp_path / "model" / "manifest.json").exists()
    assert "history" in json.dumps(load_tensors(state)[1])
    done(*line)
    whole, resumed = (Model.load(folder, device="cpu") for folder in (model, tmp_path / "model"))
    assert resumed.digest == whole.digest
    assert [epoch["epoch"] for epoch in resumed.notes["curve"]] == [1, 2, 3, 4]
    assert not state.exists()


class Folder:
    """A folder whose content must stay as it is."""

    def __init__(self, path: Path) -> None:
        self.path, self.before = path, self.content(path)

    @staticmethod
    def content(path: Path) -> dict[Path, bytes]:
        return {file: file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}

    def unharmed(self) -> bool:
        return self.content(self.path) == self.before


@pytest.fixture
def own(model: Path, data: Path, tmp_path: Path) -> Path:
    """A folder with a dataset and a model to be damaged."""
    shutil.copytree(model, tmp_path / "model")
    shutil.copytree(data, tmp_path / "data")
    return tmp_path


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:1000])


def refused(capfd: pytest.CaptureFixture[str], *argv: str | Path) -> str:
    """The one line on standard error with which a command line ends that cannot be done."""
    capfd.readouterr()
    assert main([str(part) for part in argv]) == 2
    shown = capfd.readouterr()
    lines = shown.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), shown.err
    return lines[0]


USES = {
    "evaluate": ("--tasks", "tap_open", "--workers", "1", "--episodes", "1"),
    "plan": ("--task", "tap_open"),
    "check": ("--task", "tap_open"),
    "adapt": ("--task", "tap_open", "--episodes", "1", "--out", "OUT"),
}


def using(command: str, folder: Path) -> list[str | Path]:
    rest = [folder / "out" if part == "OUT" else part for part in USES[command]]
    return [command, "--model", folder / "model", "--device", "cpu", *rest]


@pytest.mark.parametrize("command", USES)
@pytest.mark.parametrize("part", ["dynamics-", "pool-", "manifest"])
def test_a_truncated_model_is_one_line(
    own: Path, command: str, part: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (file,) = (own / "model").glob(f"{part}*")
    cut(file)
    folder = Folder(own)
    assert file.name in refused(capfd, *using(command, own))
    assert folder.unharmed()


@pytest.mark.parametrize("command", USES)
def test_a_model_of_another_world_or_none_is_one_line(
    own: Path, command: str, capfd: pytest.CaptureFixture[str]
) -> None:
    line = using(command, own)
    path = own / "model" / "manifest.json"
    text = path.read_text()
    path.write_text(text.replace('"version": 1', '"version": 99', 1))
    assert "format version 99" in refused(capfd, *line)
    path.write_text(text.replace('"kitchen"', '"garage"'))
    assert "damaged or was edited" in refused(capfd, *line)
    path.unlink()
    assert "not a model folder" in refused(capfd, *line)
    assert sorted(own.iterdir()) == [own / "data", own / "model"]


def test_a_model_that_does_not_fit_its_environment(
    own: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from tasks.registry import make

    kitchen = make("kitchen")
    fewer = replace(kitchen, spec=replace(kitchen.spec, fixtures=kitchen.spec.fixtures[:-1]))
    monkeypatch.setattr("mbtransfer.model.make", lambda name: fewer)
    folder = Folder(own)
    assert "another kitchen" in refused(capfd, *using("plan", own))
    assert folder.unharmed()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("evaluate --tasks tap_opn", "did you mean 'tap_open'?"),
        ("evaluate --recipes teaa", "did you mean"),
        ("evaluate --tasks move(tap,9)", "its range is"),
        ("evaluate --tasks move(tapp,0)", "did you mean 'tap'?"),
        ("evaluate --tasks tap_open --planner mpi", "did you mean 'mppi'?"),
        ("evaluate --tasks tap_open --labels 999999", "labels"),
        ("evaluate --tasks tap_open --task-file nowhere.py", "nowhere.py"),
        ("plan --task reach(0,0,nan)", "reach"),
        ("check --task tap_opn", "did you mean 'tap_open'?"),
        ("check --recipe nowhere.yaml", "nowhere.yaml"),
        ("adapt --task tap_opn --episodes 1 --out x", "did you mean 'tap_open'?"),
        ("adapt --task tap_open --episodes -1 --out x", "--episodes"),
    ],
)
def test_unknown_names_and_wrong_targets(
    model: Path, line: str, words: str, capfd: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    command, *rest = line.split()
    folder = Folder(model)
    assert words in refused(capfd, command, "--model", model, "--device", "cpu", *rest)
    assert folder.unharmed() and not list(tmp_path.iterdir())


def test_datasets_that_cannot_be_fitted(own: Path, capfd: pytest.CaptureFixture[str]) -> None:
    header = Dataset.open(own / "data").header
    Dataset.open_or_create(own / "empty", header)
    (own / "nothing").mkdir()
    for name, words in (("empty", "0 episodes"), ("nothing", "nothing"), ("nowhere", "nowhere")):
        assert words in refused(capfd, "fit", "--data", own / name, "--out", own / "new", *FIT)
    assert not (own / "new").exists()


def test_nan_in_data_is_told_and_nothing_is_fitted(own: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A shard whose checksums are right, as a broken collector of one's own might write it."""
    from mbtransfer.dataset.files import write_shard
    from mbtransfer.dataset.store import SHARD_FOLDER

    data = Dataset.open(own / "data")
    episodes = list(data.episodes())[:12]
    bad = episodes[3].obs.copy()
    bad[2, 1] = np.nan
    object.__setattr__(episodes[3], "obs", bad)
    other = Dataset.open_or_create(own / "bad", data.header)
    write_shard(other.path / SHARD_FOLDER, "bad", episodes)
    line = refused(capfd, "fit", "--data", own / "bad", "--out", own / "new", *FIT)
    assert "nan" in line.lower() or "finite" in line
    assert not (own / "new" / "manifest.json").exists()


def test_a_model_with_nan_in_it_is_not_planned_with(own: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (pool,) = (own / "model").glob("pool-*")
    tensors: dict[str, Any] = load_tensors(pool)[0]
    tensors["obs"] = torch.full_like(tensors["obs"], torch.nan)
    save_tensors(pool, tensors)
    assert "finite" in refused(capfd, *using("plan", own))


def test_a_damaged_shard_is_named_and_the_rest_is_fitted(
    own: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shard, *rest = sorted((own / "data").rglob("*.safetensors"), key=lambda file: file.stat().st_size)
    assert rest
    cut(shard)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert main(["fit", "--data", str(own / "data"), "--out", str(own / "new"), *FIT]) == 0
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("warning: ") and shard.name in lines[0]
    assert Model.load(own / "new", device="cpu").notes["transitions"] < 6000


def test_a_place_that_cannot_be_written(own: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (own / "file").write_text("precious")
    folder = Folder(own)
    where = own / "file" / "inside"
    assert "file" in refused(capfd, "fit", "--data", own / "data", "--out", where, *FIT)
    line = [*using("evaluate", own), *SEARCH[:-2]]
    for flag in ("--json", "--rows"):
        assert "file" in refused(capfd, *line, flag, where)
        assert "folder" in refused(capfd, *line, flag, own / "data")
    assert "file" in refused(capfd, *using("check", own), "--json", where)
    assert "is the model itself" in refused(
        capfd,
        "adapt",
        "--model",
        own / "model",
        "--task",
        "tap_open",
        "--episodes",
        "1",
        "--out",
        own / "model",
    )
    assert folder.unharmed()


def test_a_folder_without_results_has_no_report(own: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert "nothing to report" in refused(capfd, "report", own)
    assert "no results folder" in refused(capfd, "report", own / "nowhere")


def test_commands_leave_the_model_as_it_is(model: Path) -> None:
    """Last, after all that was done with it."""
    loaded = Model.load(model, device="cpu")
    (pool,) = model.glob("pool-*")
    assert digest(vars(loaded.pool))[:16] in pool.name
