"""`collect`: what it refuses, and data that are whole after a kill, an interruption or a full disk."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest

from mbtransfer.cli.commands.collect import run_collect
from mbtransfer.cli.parser import parse
from mbtransfer.collection.collect import collect, open_dataset
from mbtransfer.collection.jobs import plan_units
from mbtransfer.data import Dataset
from mbtransfer.errors import USER_ERRORS
from tasks.registry import make
from tests.mbtransfer.cli.line import COMMAND, ENVIRONMENT, refused, run


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--env kitchn", "did you mean 'kitchen'?"),
        ("--tasks drawer_opn", "did you mean 'drawer_open'?"),
        ("--tasks drawer_open --behaviours babble", "--tasks is for the behaviours"),
        ("--branches 3 --behaviours babble", "--branches is for the behaviours"),
        ("--chain --behaviours noise reach", "--chain is for the behaviours"),
        ("--tasks drawer_open --settings knots=99", "knots cannot be 99"),
        ("--tasks drawer_open --settings knots", "is not NAME=NUMBER"),
        ("--tasks drawer_open --locked drawer", "holds in place"),
        ("--locked drawr", "did you mean 'drawer'?"),
        ("--behaviours planner", "needs --model"),
        ("--behaviours babbel", "did you mean 'babble'?"),
        ("--model /nowhere", "/nowhere is not a model folder"),
        ("--planner random_shootin", "did you mean 'random_shooting'?"),
    ],
)
def test_collect_refuses_what_does_not_exist_or_fit_before_it_writes(
    line: str, words: str, tmp_path: Path
) -> None:
    config = parse(["collect", "--out", str(tmp_path / "data"), *line.split()])
    with pytest.raises(USER_ERRORS) as raised:
        run_collect(config)
    assert words in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_one_line_and_harms_nothing(tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    data, kitchen = tmp_path / "data", make("kitchen")
    collect(kitchen, open_dataset(kitchen, str(data)), plan_units(20, 0, episode_steps=10))
    before = Dataset.open(data).digest
    assert "File too large" in refused("collect", "--out", data, "--workers", "1", preexec_fn=limit)
    assert Dataset.open(data).digest == before


COLLECT = ("--steps", "24000", "--episode-steps", "40")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset that was collected without interruption, by one process."""
    data = tmp_path_factory.mktemp("whole") / "data"
    ended = run("collect", "--out", data, *COLLECT, "--workers", "1", "--json", data.with_suffix(".json"))
    assert ended.returncode == 0 and not ended.stderr, ended.stderr
    return data


@pytest.mark.slow
def test_collect_tells_what_it_collected(whole: Path) -> None:
    found = json.loads(whole.with_suffix(".json").read_text())
    assert found["steps"] == 24_000
    steps = {name: counts["steps"] for name, counts in found["behaviours"].items()}
    assert steps == {"babble": 21_600, "noise": 1_200, "reach": 1_200}
    assert found["digest"] == Dataset.open(whole).digest
    ended = run("dataset", whole)
    assert ended.returncode == 0 and "24,000 control steps" in ended.stdout and "babble" in ended.stdout


@pytest.mark.slow
def test_killed_and_interrupted_two_processes_end_with_the_data_of_one(whole: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    line = ["collect", "--out", str(data), *COLLECT, "--workers", "2"]
    code, _ = stopped(line, data, signal.SIGKILL, 1)
    assert code == -signal.SIGKILL
    assert 0 < Dataset.open(data).steps < 24_000
    one = Dataset.open(data).keys()[0]  # however late the kill came, much is left to be interrupted
    for path in set(data.glob("shards/*")) - set(data.glob(f"shards/{one}.*")):
        path.unlink()
    first = Dataset.open(data)
    code, errors = stopped(line, data, signal.SIGINT, 2)
    assert code == 130
    again = "run the same command again to continue"
    assert errors.splitlines() == [f"interrupted; what was finished is kept, {again}"]
    assert first.steps < Dataset.open(data).steps < 24_000
    ended = run(*line)
    assert ended.returncode == 0 and "steps were collected before and are kept" in ended.stdout
    assert Dataset.open(data).digest == Dataset.open(whole).digest


def stopped(line: list[str], data: Path, how: signal.Signals, shards: int) -> tuple[int, str]:
    """Send a signal to a command as soon as a dataset has so many shards; exit code and last words."""
    process = subprocess.Popen(
        [*COMMAND, *line], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell ignores it in the background
    )  # fmt: skip
    while process.poll() is None and len(list(data.glob("shards/[a-z]*.json"))) < shards:
        time.sleep(0.002)
    if how is signal.SIGINT:
        os.killpg(process.pid, how)  # a terminal sends it to every process
    else:
        process.send_signal(how)
    errors = process.communicate(timeout=30)[1]
    return process.returncode, errors
