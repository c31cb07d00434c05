"""Data and models of a declared variant, on a machine that lacks the file that declares it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from mbtransfer.collection.collect import collect_data
from mbtransfer.data import Dataset
from mbtransfer.data.summary import describe_dataset
from mbtransfer.model import Model
from mbtransfer.sharing.contents import own_files
from tasks.environment import COPY
from tasks.errors import TaskError
from tasks.registry import make
from tests.mbtransfer.conftest import _drifting

HEAVY = "env: kitchen\nvariants:\n  heavy: {mass: 3}\n"


@pytest.fixture
def moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with data and a model, whose file of variants is no more."""
    home, away = tmp_path / "home", tmp_path / "away"
    home.mkdir()
    file = home / "mine.yaml"
    file.write_text(HEAVY, encoding="utf-8")
    heavy = make(f"variant:{file}:heavy")
    collect_data(heavy, home / "data", 40, episode_steps=20)
    plain = _drifting()
    Model(heavy, plain.dynamics, plain.pool, plain.coverage, plain.notes).save(home / "model")
    home.rename(away)
    (away / "mine.yaml").unlink()
    monkeypatch.setattr("tasks.registry._MADE", set())
    make.cache_clear()
    return away


def test_they_travel(moved: Path) -> None:
    model = Model.load(moved / "model", device="cpu")
    assert model.environment.spec.name.endswith("mine.yaml:heavy")
    masses = [env.make_scene(()).model.body_mass for env in (make("kitchen"), model.environment)]
    assert np.allclose(3 * masses[0], masses[1])
    assert describe_dataset(Dataset.open(moved / "data"))
    for name, kind in (("data", "dataset"), ("model", "model")):
        assert (moved / name / COPY).read_text(encoding="utf-8") == HEAVY
        assert COPY in own_files(moved / name, kind)


def test_without_the_copy_the_file_is_named(moved: Path) -> None:
    (moved / "model" / COPY).unlink()
    with pytest.raises(TaskError, match=r"mine\.yaml"):
        Model.load(moved / "model", device="cpu")


def test_a_copy_that_names_code_is_not_run(moved: Path) -> None:
    ran = moved / "ran"
    (moved / "evil.py").write_text(f"open({str(ran)!r}, 'w')\n", encoding="utf-8")
    (moved / "model" / COPY).write_text(
        HEAVY.replace("kitchen", f"gym:{moved}/evil.py:Evil"), encoding="utf-8"
    )
    with pytest.raises(TaskError, match=r"names Python code as its environment.*was not run"):
        Model.load(moved / "model", device="cpu")
    assert not ran.exists()


def test_the_file_itself_counts_where_it_is(moved: Path) -> None:
    model = moved / "model"
    home = moved.with_name("home")
    home.mkdir()
    (home / "mine.yaml").write_text(HEAVY.replace("3", "2"), encoding="utf-8")
    shutil.copytree(model, home / "model")
    heavier = Model.load(home / "model", device="cpu").environment.make_scene(()).model.body_mass
    assert np.allclose(2 * make("kitchen").make_scene(()).model.body_mass, heavier)
