"""Work that is lost is done again, on this machine and on a Ray cluster; the results are the same on either."""

import os
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mbtransfer.cli.main import main
from mbtransfer.collection.collect import collect, open_dataset
from mbtransfer.collection.jobs import plan_units
from mbtransfer.data import Dataset
from mbtransfer.errors import UserError
from mbtransfer.evaluation.config import EvalConfig
from mbtransfer.evaluation.evaluate import evaluate_runs
from mbtransfer.evaluation.parallel import make_runs
from mbtransfer.runtime.executors import LocalExecutor, RayExecutor, make_engine
from tasks.registry import make

ORACLE = EvalConfig(dynamics="oracle", reward="true", horizon=2, candidates=4, iterations=1)


def fragile(folder: Path, number: int) -> int:
    """The square; the first to begin an odd number dies of it."""
    begun = folder / str(number)
    if number % 2 and not begun.exists():
        begun.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number**2


@pytest.mark.slow
def test_work_of_a_process_that_dies_is_done_again(tmp_path: Path) -> None:
    found = list(LocalExecutor(2).map(partial(fragile, tmp_path), list(range(6))))
    assert sorted(found) == [(n, n**2) for n in range(6)]


def test_an_engine_goes_by_its_name() -> None:
    assert make_engine("local", 3, "auto") == LocalExecutor(3) and make_engine(
        "ray", 2, "local"
    ) == RayExecutor(2, "local")
    with pytest.raises(UserError, match="did you mean 'ray'"):
        make_engine("rya", 1, "auto")


def test_without_ray_a_line_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    line = ["collect", "--out", str(tmp_path / "data"), "--steps", "10", "--engine", "ray"]
    assert main(line) == 2
    assert capsys.readouterr().err.strip().endswith("pip install 'mbtransfer[ray]'")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_ray_does_lost_work_again(cluster: Any, tmp_path: Path) -> None:
    found = list(RayExecutor(4).map(partial(fragile, tmp_path), list(range(6))))
    assert sorted(found) == [(n, n**2) for n in range(6)]


def slow_square(number: int) -> int:
    time.sleep(0.3)
    return number**2


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_node_that_is_lost_loses_nothing(cluster: Any) -> None:
    node = cluster.add_node(num_cpus=2)
    found = []
    for item, square in RayExecutor(6).map(slow_square, list(range(12))):
        found.append((item, square))
        if len(found) == 3:
            cluster.remove_node(node, allow_graceful=False)
    assert sorted(found) == [(n, n**2) for n in range(12)]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_data_and_rows_are_the_same_on_ray(cluster: Any, tmp_path: Path) -> None:
    kitchen, units = make("kitchen"), plan_units(400, 0, episode_steps=20, unit_episodes=5)
    for name, engine in (("here", LocalExecutor(1)), ("ray", RayExecutor(4))):
        collect(kitchen, open_dataset(kitchen, str(tmp_path / name)), units, engine)
    assert Dataset.open(tmp_path / "here").digest == Dataset.open(tmp_path / "ray").digest
    runs = make_runs([kitchen.task("drawer_open"), kitchen.task("tap_open")], [0, 1], 1)
    here, there = (
        evaluate_runs(ORACLE, runs, workers=engine) for engine in (LocalExecutor(1), RayExecutor(4))
    )
    assert here.drop(columns="plan_ms").equals(there.drop(columns="plan_ms"))
