from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mbtransfer.cli.main import main
from mbtransfer.data import Dataset, Header
from mbtransfer.data.coverage import Coverage
from mbtransfer.data.episode import Episode
from mbtransfer.data.summary import describe_dataset, task_rewards
from tasks.privileged_task import PhysicsTask
from tasks.registry import make
from tasks.spec import Variable


def test_what_is_found_is_what_the_data_say(dataset: Dataset) -> None:
    found, moves = describe_dataset(dataset).found, dataset.transitions()
    kitchen = make("kitchen")
    assert found["digest"] == dataset.digest and found["sample"] == dataset.steps == 1200
    at = found["observation"]["hand_x"]["quantiles"]
    assert list(at) == ["5%", "25%", "50%", "75%", "95%"]
    assert at["50%"] == pytest.approx(np.median(moves.obs[:, 0]))
    parts = Coverage.of(kitchen.spec, moves.obs, moves.next_obs).moves["drawer"]
    assert found["fixtures"]["drawer"]["parts"] == list(parts)
    assert found["fixtures"]["drawer"]["moved"] == pytest.approx(sum(parts) / 1200)
    assert set(found["rewards"]) == set(kitchen.tasks)
    task, (obs, actions, after) = kitchen.task("drawer_open"), map(torch.from_numpy, moves_of(moves))
    rewards = task.reward(obs, actions, after)
    assert found["rewards"]["drawer_open"]["mean"] == pytest.approx(float(rewards.mean()), abs=1e-5)
    assert found["rewards"]["drawer_open"]["max"] == pytest.approx(float(rewards.max()))
    assert found["rewards"]["drawer_open"]["success"] == pytest.approx(
        float(task.success(after).float().mean())
    )
    json.dumps(found, allow_nan=False)


def moves_of(moves: object) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return tuple(getattr(moves, name) for name in ("obs", "actions", "next_obs"))  # type: ignore[return-value]


def test_a_large_dataset_is_sampled_the_same_each_time(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["mbtransfer.data.summary"], "SAMPLE", 100)
    first, again = describe_dataset(dataset), describe_dataset(dataset)
    assert first.found == again.found and first.found["sample"] == 100
    assert sum(first.found["fixtures"]["drawer"]["parts"]) == sum(
        describe_dataset(dataset).found["fixtures"]["drawer"]["parts"]
    )


def test_tasks_of_the_state_see_what_the_scene_tells_witnesses(dataset: Dataset) -> None:
    sample = dataset.transitions()
    size = sample.obs.shape[1]
    task = PhysicsTask(
        "late",
        "",
        "user",
        size,
        judge=lambda s, a, after: after[:, 0],
        done=lambda s, a, after: after[:, 0] > 1.0,
    )
    found = task_rewards([task], sample)["late"]  # the first value of a state is its time
    assert found["mean"] == pytest.approx(sample.next_state[:, 0].mean(), abs=1e-4)
    assert found["success"] == pytest.approx((sample.next_state[:, 0] > 1.0).mean())
    bare = type(sample)(
        **{**vars(sample), "state": sample.state[:, :0], "next_state": sample.next_state[:, :0]}
    )
    assert task_rewards([task], bare) == {}


@pytest.mark.slow
def test_the_command_prints_writes_and_draws(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for suffix, begins in ((".png", b"\x89PNG"), (".svg", b"<?xml")):
        picture = tmp_path / f"p{suffix}"
        flags = ["--json", str(tmp_path / "i.json"), "--plot", str(picture)]
        assert main(["dataset", "info", str(dataset.path), *flags]) == 0
        assert picture.read_bytes().startswith(begins)
    said = capsys.readouterr().out
    assert re.search(r"drawer_open +source +-\d\.\d\d", said) and "where in its range it moved" in said
    assert json.loads((tmp_path / "i.json").read_text())["digest"] == dataset.digest
    assert main(["dataset", str(dataset.path)]) == 0  # the old form


def test_an_environment_that_is_none_of_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    columns = (Variable("$obs_0", "", -np.inf, np.inf), Variable("still", "", 0.0, 0.0))
    dataset = Dataset.create(tmp_path / "data", Header("maze", columns, columns[:1], 0, 0.0))
    assert main(["dataset", "info", str(dataset.path)]) == 0
    assert main(["dataset", "info", str(dataset.path), "--plot", str(tmp_path / "p.png")]) == 2
    steps = np.zeros((5, 2), np.float32)
    episode = Episode(steps, steps[1:, :1], np.zeros((5, 0)), "walk", 0, False, True, rewards=np.arange(4.0))
    dataset.append([episode], "unit")
    capsys.readouterr()
    assert main(["dataset", "info", str(dataset.path), "--plot", str(tmp_path / "p.png")]) == 0
    assert "rewards that came with 1 episodes: 1.5 per control step, highest 3" in capsys.readouterr().out
    assert main(["dataset", "info", str(dataset.path), "--plot", str(tmp_path / "p.pdf")]) == 2
    assert "--plot needs a file that ends with .png or .svg" in capsys.readouterr().err
