"""Faults of users' tasks that show only later than at load: each is one line with file, line and what to do."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mbtransfer.cli.main import main
from mbtransfer.diagnostics.label_warnings import UnseenGoalWarning, warn_of_labels
from mbtransfer.model import Model
from mbtransfer.task_file import load_task_file
from mbtransfer.task_guard import FaultyTask
from tasks.registry import make
from tasks.task import Task

KITCHEN = make("kitchen")
FILE = """\
drawer = spec.index("drawer")

def reward(obs, action, next_obs):
    value = -(next_obs[..., drawer] - 0.2).abs()
    return {reward}

def success(obs):
    near = (obs[..., drawer] - 0.2).abs() < 0.05
    return {success}
"""


def written(folder: Path, reward: str = "value", success: str = "near", more: str = "") -> Path:
    path = folder / "ajar.py"
    path.write_text(FILE.format(reward=reward, success=success) + more)
    return path


def loaded(path: Path) -> Task:
    (task,) = load_task_file(path, KITCHEN)
    assert isinstance(task, Task)
    return task


@pytest.mark.parametrize(
    "reward",
    [
        "value > -0.1",
        "(value > -0.1).int()",
        "value.double()",
        "value * torch.tensor(1.0, requires_grad=True)",
    ],
    ids=["bool", "int", "double", "with gradients"],
)
def test_rewards_of_any_real_kind_become_those_of_the_observations(tmp_path: Path, reward: str) -> None:
    task = loaded(written(tmp_path, reward, more="import torch\n"))
    obs = torch.zeros(5, KITCHEN.spec.obs_size)
    found = task.reward(obs, torch.zeros(5, 4), obs)
    assert found.dtype == torch.float32 and not found.requires_grad


def test_gradients_of_the_observations_pass(tmp_path: Path) -> None:
    task = loaded(written(tmp_path, "value.double()"))
    obs = torch.zeros(5, KITCHEN.spec.obs_size, requires_grad=True)
    assert task.reward(obs, torch.zeros(5, 4), obs).requires_grad


LATE = "obs.shape[0] > 60"
"""Not when a file is loaded, where a task is tried on 12 rows."""


@pytest.mark.parametrize(
    ("reward", "success", "line", "said"),
    [
        (f"value.sqrt() if {LATE} else value", "near", 3, "task 'ajar' is NaN or infinite in 1,000 of 1,000 tr"),
        (f"value / 0 if {LATE} else value", "near", 3, "transitions of the pool; clamp what goes into a root, a log"),
        (f"value.mean() if {LATE} else value", "near", 3, "returned shape [], not [1000]: one value for each row"),
        (f"value[:, None] if {LATE} else value", "near", 3, "returned shape [1000, 1], not [1000]"),
        (f"value.numpy() if {LATE} else value", "near", 3, "returned ndarray, not a torch tensor of shape [1000]"),
        (f"None if {LATE} else value", "near", 3, "returned NoneType, not a torch tensor"),
        (f"value + 1j if {LATE} else value", "near", 3, "returned dtype complex64; every reward must be a real"),
        (f"{{}}[0] if {LATE} else value", "near", 5, "reward of task 'ajar' raised KeyError: 0 on observations of"),
        ("value", f"near.float() if {LATE} else near", 7, "success of task 'ajar' returned dtype float32, not bool"),
        ("value", f"near.any() if {LATE} else near", 7, "returned shape [], not [1000]"),
        ("value", f"near / '' if {LATE} else near", 9, "success of task 'ajar' raised TypeError"),
        ("0 * value", "near & False", 3, "is the same in all 1,000 transitions of the pool, and success true in none"),
    ],
)  # fmt: skip
def test_a_fault_on_the_pool_is_one_line(
    tmp_path: Path, drifting: Callable[..., Model], reward: str, success: str, line: int, said: str
) -> None:
    path, model = written(tmp_path, reward, success), drifting()
    task = loaded(path)
    with pytest.raises(FaultyTask) as caught:
        warn_of_labels(model, [task], learned=True)
    message = str(caught.value)
    assert message.startswith(f"{path}:{line}: ") and said in message and "\n" not in message


@pytest.mark.parametrize(
    ("reward", "success", "said"),
    [
        ("value", "near", []),
        (
            "0 * value",
            "near",
            ["reward of task 'ajar' is the same in all 1,000 transitions of the pool; let it"],
        ),
        (
            "value",
            "near & False",
            ["success of task 'ajar' is true in none of 1,000 transitions of the pool; move"],
        ),
        (
            "value",
            "near | True",
            ["success of task 'ajar' is true in all 1,000 transitions of the pool; move"],
        ),
        ("0 * value", "near & False", ["is the same in all", "is true in none"]),
    ],
    ids=["sound", "flat", "never", "always", "flat and never"],
)
def test_what_is_the_same_all_over_the_pool_is_warned_of_once(
    tmp_path: Path, drifting: Callable[..., Model], reward: str, success: str, said: list[str]
) -> None:
    task = loaded(written(tmp_path, reward, success))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_labels(drifting(), [task, task], learned=False)
    assert all(one.category is UnseenGoalWarning for one in caught)
    assert len(caught) == len(said) and all(
        part in str(one.message) for part, one in zip(said, caught, strict=True)
    )


def test_check_tells_once_of_a_goal_that_is_never_seen(
    tmp_path: Path,
    drifting: Callable[..., Model],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mbtransfer.diagnostics.check._imagine", lambda *_: (0.0, 0.0, 0.0))
    drifting(rows=100).save(tmp_path / "model")
    path = written(tmp_path, success="near & False")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UnseenGoalWarning)
        assert main(["check", "--model", str(tmp_path / "model"), "--task-file", str(path)]) == 0
    assert capsys.readouterr().out.count("no state of the pool fulfils") == 1


def test_tasks_that_are_parts_and_steps_are_guarded(tmp_path: Path) -> None:
    more = """
from tasks.combinators import all_of, slowly, then
from tasks.task import Task

class Mine(Task):
    def reward(self, obs, action, next_obs):
        return obs[..., 0] / 0 if obs.shape[0] > 60 else [][0]
    def success(self, obs):
        return obs[..., 0] > 0

mine = Mine("mine", "", "user")
TASKS = [MADE]
"""
    for made in ("all_of('x', [mine])", "slowly('x', mine, spec, 'tap', 1.0)", "then('x', [mine], spec)"):
        with pytest.raises(FaultyTask, match=r"ajar.py:16: reward of task 'mine' raised IndexError"):
            load_task_file(written(tmp_path, more=more.replace("MADE", made)), KITCHEN)


@pytest.mark.parametrize(
    "command", ["plan --reward true", "plan --reward learned", "evaluate --reward auto", "check", "diagnose"]
)
def test_every_command_ends_with_code_2(
    command: str, tmp_path: Path, drifting: Callable[..., Model], capsys: pytest.CaptureFixture[str]
) -> None:
    drifting().save(tmp_path / "model")
    path = written(tmp_path, f"value.log() if {LATE} else value")
    asked = ["--model", str(tmp_path / "model"), "--task-file", str(path), "--device", "cpu"]
    assert main([*command.split(), *asked]) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 1 and f"{path}:3: reward of task 'ajar' is NaN or infinite" in told[0]
