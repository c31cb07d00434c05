from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("optuna", reason="needs the extra sweeps")

from mbtransfer.cli.commands.sweep import run_sweep
from mbtransfer.cli.main import main
from mbtransfer.config import SweepConfig
from mbtransfer.errors import UserError
from mbtransfer.runtime.files import output_lock
from mbtransfer.sweep.search import importance, propose
from mbtransfer.sweep.trial import Trial, read_trials

Write = Callable[..., Path]
RANDOM = {
    "method": "random",
    "parameters": {"a": {"min": 0.0, "max": 1.0}, "word": {"values": ["tea", "soup"]}},
}
HYPERBAND = {"early_terminate": {"type": "hyperband", "min_iter": 1, "eta": 2}}


def swept(file: Path, out: Path, **settings: Any) -> list[Trial]:
    return run_sweep(SweepConfig(file=file, out=out, **settings))


def test_a_grid_is_done_once_and_told(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    line = ["sweep", str(write()), "--out", str(out)]
    assert main(line) == 0
    shown = capsys.readouterr().out
    assert "trial 1: a=0.3: finished, loss 0" in shown and "importance: a 100%" in shown
    table = pd.read_csv(out / "results.csv")
    assert list(table["a"]) == [0.3, 0.1, 0.9] and set(table["word"]) == {"tea"}
    assert (out / "sweep.png").read_bytes().startswith(b"\x89PNG")
    record = json.loads((out / "trial-0001" / "trial.json").read_text())
    assert record["params"] == {"a": 0.3, "word": "tea"} and record["state"] == "finished"
    assert record["metric"] == pytest.approx(0, abs=1e-9)
    before = {path: path.read_bytes() for path in out.glob("trial-*/trial.json")}
    assert main(line) == 0
    assert "3 trials" in capsys.readouterr().out
    assert before == {path: path.read_bytes() for path in out.glob("trial-*/trial.json")}
    assert all((out / f"trial-{n:04d}" / "began").read_text() == "x" for n in range(3))


@pytest.mark.parametrize("method", ["random", "bayes"])
def test_the_same_seed_proposes_the_same_and_leaves_other_randomness_alone(write: Write, method: str) -> None:
    content = {**RANDOM, "method": method, "metric": {"name": "loss", "goal": "minimize"}}

    def proposed(seed: int) -> list[dict[str, Any]]:
        trials: list[Trial] = []
        for number in range(4):
            params = propose(content, trials, seed)
            assert params is not None
            trials.append(Trial(number, params, "finished", params["a"], figures={"loss": params["a"]}))
        return [trial.params for trial in trials]

    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    first = proposed(0)
    assert first == proposed(0) != proposed(1)
    assert before == np.random.get_state()[1].tolist()  # noqa: NPY002
    assert all(type(params["a"]) is float for params in first)


def test_a_random_search_ends_where_all_was_tried(write: Write, tmp_path: Path) -> None:
    file = write(method="random", parameters={"a": {"values": [0.1, 0.2]}, "word": {"value": "tea"}})
    trials = swept(file, tmp_path / "out", count=9)
    assert sorted(trial.params["a"] for trial in trials) == [0.1, 0.2]


def sweeping(file: Path, out: Path, count: int) -> list[str]:
    return [sys.executable, "-m", "mbtransfer", "sweep", str(file), "--out", str(out), "--count", str(count)]


def check_equal(whole: Path, out: Path) -> list[int]:
    """Both folders hold the same trials; how often each of the second began."""
    first, second = read_trials(whole), read_trials(out)
    assert [trial.params for trial in first] == [trial.params for trial in second]
    assert [trial.metric for trial in first] == [trial.metric for trial in second]
    assert {trial.state for trial in second} == {"finished"}
    return [len((out / trial.name / "began").read_text()) for trial in second]


@pytest.mark.slow
def test_killed_in_a_trial_the_same_trials_are_done_and_none_twice(write: Write, tmp_path: Path) -> None:
    file, whole, out = write(**RANDOM), tmp_path / "whole", tmp_path / "out"
    swept(file, whole, count=3)
    line = sweeping(file, out, 3)
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, env=os.environ | {"TRIAL_SECONDS": "5"})
    while process.poll() is None and not (out / "trial-0000" / "began").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    swept(file, out, count=3)
    assert check_equal(whole, out) == [2, 1, 1]  # only the one that was killed in the middle began again


@pytest.mark.slow
def test_killed_at_many_instants_it_ends_as_if_it_had_not_been(write: Write, tmp_path: Path) -> None:
    file, whole, out = write(**RANDOM), tmp_path / "whole", tmp_path / "out"
    began = time.monotonic()
    subprocess.run(sweeping(file, whole, 8), stdout=subprocess.DEVNULL, check=True)
    usual, rng, finished = time.monotonic() - began, np.random.default_rng(0), 0
    for _ in range(5):
        process = subprocess.Popen(sweeping(file, out, 8), stdout=subprocess.DEVNULL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(usual * rng.uniform(0.3, 1.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
        known = sum(trial.state == "finished" for trial in read_trials(out))
        assert known >= finished
        finished = known
    swept(file, out, count=8)
    check_equal(whole, out)


def test_a_bad_trial_is_stopped_early(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPOCH_SECONDS", "0.3")
    monkeypatch.setattr("mbtransfer.sweep.runner.LOOK_SECONDS", 0.1)
    values = {"a": {"values": [0.3, 0.31, 5.0]}, "word": {"value": "tea"}}
    trials = swept(write(parameters=values, **HYPERBAND), tmp_path / "out")
    assert (trials[0].state, trials[2].state) == ("finished", "stopped")
    assert trials[2].metric is not None and trials[2].metric > 20


def test_trials_that_all_fail_are_given_up_with_the_reason(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIL", "1")
    with pytest.raises(UserError, match=r"first 3 trials failed \(the disk is on fire\)"):
        swept(write(), tmp_path / "out")


def test_a_command_that_tells_no_metric_fails(write: Write, tmp_path: Path) -> None:
    file = write(metric={"name": "success"}, parameters={"a": {"values": [1]}, "word": {"value": "x"}})
    with pytest.raises(UserError, match=r"first trial failed \(its command told no number called success"):
        swept(file, tmp_path / "out")
    (trial,) = read_trials(tmp_path / "out")
    assert trial.state == "failed"


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"method": "gird"}, "gird"),
        ({"method": None}, "has no method"),
        ({"metric": None}, "has no metric"),
        ({"parameters": {"a": {"min": 2, "max": 1}}}, "min 2 is not less than max 1"),
        ({"parameters": {"a": {"valuess": [1]}}}, "valuess"),
        ({"parameters": [1]}, "parameters"),
        ({"parameters": {1: {"values": [1]}}}, "a name in parameters needs a word, not 1"),
        ({"parameters": {"a": {"values": ["\0"]}}}, "null"),
        ({"method": "random"}, "--count"),
        ({"run_cap": "many"}, "run_cap"),
        ({"program": None, "command": None}, "neither command nor program"),
        ({"command": ["/no/such/program", "${args}"]}, "cannot run /no/such/program"),
        ({"parameters": {"a": {"min": 0.0, "max": 1.0}}}, "a grid needs values"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(
    write: Write, tmp_path: Path, parts: dict[str, Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", str(write(**parts)), "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


@pytest.mark.parametrize("text", ["", "[", "a: b", "- 1", "\x00", "!!python/object/apply:os.getcwd []"])
def test_what_is_no_sweep_file_is_one_line(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file.yaml").write_text(text)
    assert main(["sweep", str(tmp_path / "file.yaml"), "--out", str(tmp_path / "out")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1 and not (tmp_path / "out").exists()


def test_a_folder_holds_one_sweep_and_one_at_a_time(write: Write, tmp_path: Path) -> None:
    out = tmp_path / "out"
    swept(write(), out)
    with pytest.raises(UserError, match="another sweep"):
        swept(write(metric={"name": "loss", "goal": "maximize"}), out)
    with pytest.raises(UserError, match="another command"), output_lock(out):
        swept(write(), out)
    (out / "trial-0001" / "trial.json").write_text("{")
    with pytest.raises(UserError, match="damaged"):
        swept(write(), out)


def test_importance_finds_what_matters() -> None:
    rng = np.random.default_rng(0)
    params = pd.DataFrame({"width": rng.integers(1, 9, 40), "kind": rng.choice(["a", "b"], 40)})
    share = importance(params, params["width"] ** 2.0 + 0.1 * (params["kind"] == "a"))
    assert list(share) == ["width", "kind"] and share["width"] > 0.9
    assert sum(share.values()) == pytest.approx(1)
