"""From logs of an arm without a simulator to a first planned action."""

from __future__ import annotations

import importlib.util
import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("pyarrow")

from mbtransfer.cli.commands.calibration import run_calibration
from mbtransfer.cli.commands.check import run_check
from mbtransfer.cli.commands.plan import run_plan
from mbtransfer.config import CalibrationConfig, CheckConfig, PlanConfig
from mbtransfer.data import Dataset
from mbtransfer.data.formats import find_source, take_in
from mbtransfer.data.summary import describe_dataset
from mbtransfer.evaluation.config import EvalConfig
from mbtransfer.model import Model
from mbtransfer.mpc.imagined_plan import ImaginedPlan
from mbtransfer.runtime.terminal import Terminal
from mbtransfer.sharing.contents import own_files
from mbtransfer.task_file import load_task_file
from mbtransfer.training.fit import fit_model
from tasks.environment import COPY
from tasks.errors import TaskError
from tasks.registry import make
from world_models.dynamics.ensemble import EnsembleConfig
from world_models.training.trainer import TrainingConfig


def _arm() -> Any:
    spec = importlib.util.spec_from_file_location("arm", Path(__file__).with_name("arm.py"))
    assert spec and spec.loader
    module = sys.modules["arm"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


arm = _arm()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data and a model of an arm's logs."""
    home: Path = tmp_path_factory.mktemp("arm")
    arm.declare(home / "arm.yaml")
    arm.lerobot(home / "lerobot", arm.record(80), "v3.0")
    env = f"file:{home / 'arm.yaml'}"
    take_in(find_source(f"lerobot:{home / 'lerobot'}", env=env), home / "data", env)
    shape = EnsembleConfig(members=2, hidden=32, layers=1, structure="dense")
    settings = TrainingConfig(epochs=22, batch=128, learning_rate=1e-2)
    fit_model(
        make(env), Dataset.open(home / "data"), home / "model", shape=shape, settings=settings, device="cpu"
    )
    return home


def plan(home: Path, **flags: Any) -> tuple[ImaginedPlan, str]:
    screen = io.StringIO()
    config = PlanConfig(model=home / "model", device="cpu", precision="float32", **flags)
    found = run_plan(config, Terminal(file=screen, width=120))
    assert isinstance(found, ImaginedPlan)
    return found, screen.getvalue()


def test_the_first_action_moves_the_arm_as_it_should(home: Path, tmp_path: Path) -> None:
    found, said = plan(home, task="grasp", json=tmp_path / "plan.json")
    assert float(found.expected[0, 5]) < 0.5 and float(found.actions[0, 5]) > float(found.expected[0, 5])
    assert float(found.expected[-1, 5]) > float(found.expected[0, 5])
    assert "gripper_target" in said and "the model believes: grasp is" in said
    written = json.loads((tmp_path / "plan.json").read_text())
    assert written["action"]["gripper_target"] == pytest.approx(float(found.actions[0, 5]))
    assert len(written["expected"]) == len(written["plan"]) == len(written["doubt"])


def test_a_plan_from_an_observation_is_believed_rightly(home: Path, tmp_path: Path) -> None:
    (tmp_path / "now.csv").write_text(",".join(arm.JOINTS) + "\n0,0,0,0,0,1\n0,0,0,0,0,-0.5\n")
    found, said = plan(home, task="move(elbow, 0.6)", observation=tmp_path / "now.csv")
    assert "from the last row of" in said
    torch.testing.assert_close(found.expected[0], torch.tensor([0, 0, 0, 0, 0, -0.5]))
    joints = found.expected[0].clone()
    for step, action in enumerate(found.actions[:3]):  # what the true arm would do
        joints += arm.FOLLOWS * (action - joints)
        assert bool(((joints - found.expected[step + 1]).abs() < 0.25).all())
    assert float(joints[2]) > 0.1


def test_what_is_known_without_a_simulator(home: Path) -> None:
    screen = Terminal(file=io.StringIO(), width=120)
    found = run_check(CheckConfig(model=home / "model", task="grasp", device="cpu"), screen)
    assert 0 <= found["risk"] <= 1
    errors = run_calibration(
        CalibrationConfig(model=home / "model", data=home / "data", device="cpu"), screen
    )
    for column in errors["open_loop_error"].values():
        assert 0 < column["model"][0] < 0.7 * column["naive"][0]
    assert "open-loop error" in screen.file.getvalue()
    quality = describe_dataset(Dataset.open(home / "data")).found["quality"]
    assert len(quality["delays"]) == 6 and {one["steps"] for one in quality["delays"]} == {0}
    assert quality["units"] == [] and quality["spikes"] == {}


def test_a_task_file_is_tried_on_the_ranges(home: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        '"""Lift."""\n\ndef reward(obs, action, next_obs):\n    return next_obs[..., spec.index("lift")]\n\n\n'
        'def success(obs):\n    return obs[..., spec.index("lift")] > 1\n'
    )
    (task,) = load_task_file(tmp_path / "mine.py", make(f"file:{home / 'arm.yaml'}"))
    assert task.name == "mine"
    found, _ = plan(home, task="mine", task_file=tmp_path / "mine.py")
    assert float(found.reward[-1]) > float(found.reward[0])


def test_what_plays_episodes_says_that_there_is_no_simulator(home: Path) -> None:
    with pytest.raises(TaskError, match="has no simulator, and an oracle needs one"):
        EvalConfig(env=f"file:{home / 'arm.yaml'}", dynamics="oracle", reward="true").resolve()
    scene = Model.load(home / "model", "cpu").environment.make_scene(())
    assert scene.live


def test_data_and_model_travel_without_the_file_that_declares_the_arm(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("data", "model"):
        assert (home / name / COPY).read_text() == (home / "arm.yaml").read_text()
        shutil.copytree(home / name, tmp_path / name)
    (home / "arm.yaml").rename(home / "away.yaml")
    monkeypatch.setattr("tasks.registry._MADE", set())
    make.cache_clear()
    try:
        model = Model.load(tmp_path / "model", device="cpu")
        assert set(model.environment.tasks) and not model.environment.simulated
        assert describe_dataset(Dataset.open(tmp_path / "data"))
        assert COPY in own_files(tmp_path / "model", "model") and COPY in own_files(
            tmp_path / "data", "dataset"
        )
        (tmp_path / "model" / COPY).unlink()
        with pytest.raises(TaskError, match=r"arm\.yaml"):
            Model.load(tmp_path / "model", device="cpu")
    finally:
        (home / "away.yaml").rename(home / "arm.yaml")
        make.cache_clear()
