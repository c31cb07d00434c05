"""The scripts of `examples/`, run as users run them, each at a tiny budget."""

from __future__ import annotations

import re
import runpy
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mbtransfer import Model, collect_data, fit_model, load_recipe, make
from tasks.errors import TaskError
from tasks.gymnasium_env.mujoco_scene import MujocoScene
from world_models.adaptation import adapt
from world_models.dynamics.ensemble import EnsembleConfig
from world_models.training.trainer import TrainingConfig

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
LINES = 60

pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="a wheel comes without examples")

Run = Callable[..., str]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kitchen model that was fitted for a moment, on data in which the light switch was locked."""
    kitchen, home = make("kitchen"), tmp_path_factory.mktemp("examples")
    data = collect_data(kitchen, home / "data", 1200, episode_steps=30, locked=("light_switch",))
    shape, settings = EnsembleConfig(members=2, hidden=8), TrainingConfig(epochs=2)
    fit_model(kitchen, data, home / "model", shape=shape, settings=settings, device="cpu")
    return home / "model"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe of one short step."""
    path = tmp_path / "late.yaml"
    path.write_text(
        "name: late\ndescription: Dim the light, late.\nsteps: [{task: light_dim, timeout: 10}]\n"
    )
    return path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`run("script.py", "--flag", value)`: what the script prints."""

    def program(name: str, *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return program


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_a_script_is_short(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) < LINES


def test_breakfast_tells_every_step(run: Run, model: Path, recipe: Path) -> None:
    told = run("kitchen_breakfast.py", "--model", model, "--recipe", recipe, "--mornings", 2)
    assert told.startswith("late: Dim the light, late.")
    assert told.count("light_dim\n") >= 2 and told.count(" of 1, ") == 2


def test_a_recipe_is_checked_and_cooked(run: Run, model: Path, recipe: Path) -> None:
    told = run("new_recipe_from_yaml.py", "--model", model, "--recipe", recipe, "--episodes", 1)
    assert "light_dim: no state of the pool" in told or "light_dim: the pool moved light_switch" in told
    assert "cooked 1 times" in told


def test_the_recipe_in_the_script_is_one() -> None:
    text = runpy.run_path(str(EXAMPLES / "new_recipe_from_yaml.py"))["RECIPE"]
    assert len(load_recipe(text, make("kitchen")).steps) == 5


def test_a_mistake_in_a_recipe_is_one_line(run: Run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine\nsteps: [lihgt_on]\n")
    with pytest.raises(TaskError, match=r"mine\.yaml:2:\d+: no task 'lihgt_on'; did you mean 'light_on'\?"):
        run("new_recipe_from_yaml.py", "--model", model, "--recipe", tmp_path / "mine.yaml")


@pytest.mark.slow
def test_an_environment_of_ones_own_is_learned(run: Run, tmp_path: Path) -> None:
    told = run("own_environment.py", "--out", tmp_path, "--steps", 2000, "--episodes", 1)
    assert told.count("park at ") == 3
    found = Model.load(tmp_path / "model", device="cpu")
    assert [column.name for column in found.environment.spec.observation][:2] == ["x", "y"]
    assert found.dynamics.config.structure == "dense"


def test_states_of_the_crane_can_be_set() -> None:
    crane = make(f"gym:{EXAMPLES / 'own_mujoco.py'}:Crane")
    scene, rng = crane.make_scene(()), np.random.default_rng(0)
    assert isinstance(scene, MujocoScene)
    assert (crane.spec.control_dt, crane.spec.episode_steps) == (0.05, 100)
    states, push = scene.sample_states(rng, 3), np.ones((3, 20, 1), np.float32)
    path = scene.observe(scene.rollout(states, push))
    cart = crane.spec.index("cart")
    assert (path[:, -1, cart] > path[:, 0, cart]).all()
    np.testing.assert_array_equal(path, scene.observe(scene.rollout(states, push)))


@pytest.mark.slow
def test_a_few_episodes_are_tried(
    run: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = adapt.FineTuningConfig(epochs=2, steps_per_epoch=20)
    monkeypatch.setattr("mbtransfer.training.adapt.adapt", partial(adapt.adapt, config=short))
    out = tmp_path / "adapted"
    told = run("few_shot.py", "--model", model, "--episodes", 1, "--trials", 1, "--out", out)
    assert told.startswith("check: no state of the pool fulfils this task")
    assert "light_on" in told and "drawer_open" in told
    assert Model.load(out, device="cpu").digest


def test_the_loop_in_the_documentation_runs(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = EXAMPLES.parent / "docs" / "own-loop.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), flags=re.DOTALL)
    (tmp_path / "runs" / "demo").mkdir(parents=True)
    (tmp_path / "runs" / "demo" / "model").symlink_to(model)
    monkeypatch.chdir(tmp_path)
    told: dict[str, Any] = {}
    exec(code, told)
    assert told["step"] == 59 or "open after" in capsys.readouterr().out
