"""Several trials at a time, on this machine and on a Ray cluster: the same trials, none lost, none done twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("optuna", reason="needs the extra sweeps")

from mbtransfer.cli.commands.sweep import run_sweep
from mbtransfer.cli.main import main
from mbtransfer.config import SweepConfig
from mbtransfer.sweep.trial import Trial, read_trials

Write = Callable[..., Path]

RANDOM = {"method": "random", "parameters": {"a": {"min": 0.0, "max": 1.0}}}

PROGRAM = """
import json, os, signal, sys, time
from pathlib import Path
a, home = sys.argv[1].partition("=")[2], Path(__file__).parent
begun = home / f"begun-{float(a):.6f}"
with begun.open("a") as file:
    file.write(f"{os.getpid()}\\n")
if (home / "slow").exists():
    time.sleep(60)
if (home / "fragile").exists() and float(a) > 0.5 and len(begun.read_text().split()) == 1:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)
print("tried", a)
Path(os.environ["MBTRANSFER_TRIAL"], "summary.json").write_text(json.dumps({"loss": float(a)}))
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A random search over a program that says how often it was begun; as its neighbours say, it is slow or kills."""
    (tmp_path / "program.py").write_text(PROGRAM)
    content = {
        **RANDOM,
        "program": str(tmp_path / "program.py"),
        "metric": {"name": "loss", "goal": "minimize"},
    }
    (tmp_path / "file.yaml").write_text(yaml.safe_dump(content))
    return tmp_path / "file.yaml"


def swept(file: Path, out: str, **settings: Any) -> list[Trial]:
    return run_sweep(SweepConfig(file=file, out=file.parent / out, count=4, **settings))


def told(trials: list[Trial]) -> list[tuple[dict[str, Any], str, float | None]]:
    return [(trial.params, trial.state, trial.metric) for trial in trials]


def begun(file: Path, trial: Trial) -> list[int]:
    """Processes that have begun this trial, in all sweeps of the file."""
    path = file.parent / f"begun-{trial.params['a']:.6f}"
    return [int(word) for word in path.read_text().split()] if path.exists() else []


@pytest.mark.slow
@pytest.mark.slow
def test_two_at_a_time_try_what_one_after_the_other_would(file: Path) -> None:
    assert told(swept(file, "one")) == told(swept(file, "two", workers=2))
    assert told(swept(file, "two", workers=2)) == told(read_trials(file.parent / "one"))
    assert all(len(begun(file, trial)) == 2 for trial in read_trials(file.parent / "two"))


@pytest.mark.slow
def test_a_trial_whose_worker_dies_is_done_again_and_its_command_ends(file: Path) -> None:
    (file.parent / "fragile").touch()
    trials = swept(file, "out", workers=2)
    assert {trial.state for trial in trials} == {"finished"}
    twice = [trial for trial in trials if len(begun(file, trial)) == 2]
    assert twice == [trial for trial in trials if trial.params["a"] > 0.5] != []
    assert not any(alive(begun(file, trial)[0]) for trial in twice)


def alive(process: int) -> bool:
    """Whether it still runs; what has ended and was not asked for may still be there."""
    status = Path(f"/proc/{process}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def killed_midway(file: Path, *flags: str, running: int) -> list[int]:
    """Kill a sweep while so many slow trials are running.

    Returns:
        The processes of these trials.
    """
    (file.parent / "slow").touch()
    line = [sys.executable, "-m", "mbtransfer", "sweep", str(file), "--out", str(file.parent / "out")]
    process = subprocess.Popen([*line, "--count", "4", *flags], stdout=subprocess.DEVNULL)
    while process.poll() is None and len(list(file.parent.glob("begun-*"))) < running:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (file.parent / "slow").unlink()
    return [pid for trial in read_trials(file.parent / "out") for pid in begun(file, trial)]


@pytest.mark.slow
def test_killed_with_two_at_a_time_the_same_trials_are_done(file: Path) -> None:
    left = killed_midway(file, "--workers", "2", running=2)
    trials = swept(file, "out", workers=2)
    assert [len(begun(file, trial)) for trial in trials] == [2, 2, 1, 1]
    assert not any(alive(process) for process in left)
    assert told(trials) == told(swept(file, "whole"))


def test_bayes_proposes_while_others_run(file: Path) -> None:
    file.write_text(file.read_text().replace("random", "bayes"))
    trials = swept(file, "out", workers=2)
    assert [trial.state for trial in trials] == ["finished"] * 4
    assert len({trial.params["a"] for trial in trials}) == 4


@pytest.mark.slow
def test_hyperband_judges_beside_those_that_run(write: Write, tmp_path: Path) -> None:
    """Each takes longer, the worse it is: the worst is stopped for what the others did at the same time."""
    values = {"a": {"values": [0.3, 0.31, 5.0]}, "word": {"value": "tea"}}
    stop = {"early_terminate": {"type": "hyperband", "min_iter": 1, "eta": 2}}
    command = ["${env}", "EPOCH_SECONDS=1", "${interpreter}", "${program}", "${args}"]
    path = write(parameters=values, command=command, **stop)
    trials = run_sweep(SweepConfig(file=path, out=tmp_path / "out", workers=3))
    assert (trials[0].state, trials[2].state) == ("finished", "stopped")


def test_hyperband_is_refused_on_a_cluster(write: Write, tmp_path: Path, capsys: Any) -> None:
    path = write(early_terminate={"type": "hyperband", "min_iter": 1})
    assert main(["sweep", str(path), "--out", str(tmp_path / "out"), "--engine", "ray"]) == 2
    assert "needs --engine local" in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_on_a_cluster_killed_and_with_workers_that_die_the_trials_are_the_same(
    cluster: Any, file: Path
) -> None:
    far = {"engine": "ray", "address": cluster.address, "workers": 2}
    left = killed_midway(file, "--engine", "ray", "--address", cluster.address, "--workers", "2", running=2)
    (file.parent / "fragile").touch()
    trials = swept(file, "out", **far)
    assert [len(begun(file, trial)) for trial in trials[:2]] == [
        2,
        2,
    ]  # the first try was that of the killed sweep
    assert all(len(begun(file, trial)) == 1 + (trial.params["a"] > 0.5) for trial in trials[2:])
    assert any(trial.params["a"] > 0.5 for trial in trials[2:])
    assert all(
        (file.parent / "out" / trial.name / "output.txt").read_text().startswith("tried") for trial in trials
    )
    assert not any(alive(process) for process in left)
    (file.parent / "fragile").unlink()
    assert told(trials) == told(swept(file, "whole"))
