from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mbtransfer.diagnostics.label_warnings import UnseenGoalWarning, warn_of_labels
from mbtransfer.errors import UserError
from mbtransfer.evaluation.parallel import make_runs
from mbtransfer.evaluation.task_selection import find_task
from mbtransfer.labels.label_file import LabelTable, write_labels
from mbtransfer.labels.labelled_task import LabelledTask
from mbtransfer.model import Model
from tasks.registry import make

KITCHEN = make("kitchen")


def written(path: Path, model: Model, count: int = 100) -> Path:
    labels = model.label(KITCHEN.task("drawer_open"), count)
    write_labels(path, LabelTable.of(labels), KITCHEN.spec)
    return path


def test_a_label_file_is_a_task(fitted: Model, tmp_path: Path) -> None:
    path = written(tmp_path / "pull.csv", fitted)
    task = find_task(KITCHEN, str(path))
    assert isinstance(task, LabelledTask) and task.name == "pull"
    assert "100 labels; success is judged by the reward head; there is no function" in task.description
    obs = fitted.pool.next_obs[:200].unflatten(0, (2, 100))
    agree = task.success(obs) == KITCHEN.task("drawer_open").success(obs)
    assert float(agree.float().mean()) > 0.9


def test_its_head_is_fitted_on_its_own_labels(fitted: Model, tmp_path: Path) -> None:
    task = find_task(KITCHEN, str(written(tmp_path / "pull.csv", fitted)))
    some = vars(fitted.pool[slice(0, 50)]).values()
    learned = fitted.rewards([task]).reward(*some)[:, 0]
    assert torch.equal(learned, task.reward(*some))
    assert len(fitted.label(task, 30).reward) == 100


def test_equal_files_are_one_task(fitted: Model, tmp_path: Path) -> None:
    path = written(tmp_path / "pull.csv", fitted)
    first, again = find_task(KITCHEN, str(path)), find_task(KITCHEN, str(path))
    assert first == again and hash(first) == hash(again)
    assert find_task(KITCHEN, str(written(path, fitted, 90))) != first


def test_a_run_takes_it_along(fitted: Model, tmp_path: Path) -> None:
    task = find_task(KITCHEN, str(written(tmp_path / "pull.csv", fitted)))
    (run,) = make_runs([task], [0], 1)
    found = copy.deepcopy(run)
    obs = fitted.pool.obs[:20]
    assert found.name == "pull" and torch.equal(found.asked.success(obs), task.success(obs))


@pytest.mark.parametrize(
    ("reward", "success", "said"),
    [
        (0.0, True, ["reward of task 'pull' is the same in all 20 labels", "success of task 'pull' is true in all"]),
        (1.0, False, ["success of task 'pull' is true in none of 20 labels; label some successes"]),
    ],
)  # fmt: skip
def test_warnings_tell_of_its_labels(fitted: Model, reward: float, success: bool, said: list[str]) -> None:
    some = fitted.label(KITCHEN.task("drawer_open"), 20)
    labels = replace(some, reward=reward * some.reward, success=torch.full((20,), success))
    task = LabelledTask.of("pull", labels, fitted.dynamics.layout)
    with pytest.warns(UnseenGoalWarning) as caught:
        warn_of_labels(fitted, [task], learned=True)
    assert len(caught) == len(said)
    assert all(part in str(one.message) for part, one in zip(said, caught, strict=True))


def test_too_few_labels_and_taken_names_are_refused(fitted: Model, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least 10 labels; there are 9"):
        find_task(KITCHEN, str(written(tmp_path / "pull.csv", fitted, 9)))
    with pytest.raises(UserError, match="has a task 'drawer_open' already; rename the file"):
        find_task(KITCHEN, str(written(tmp_path / "drawer_open.csv", fitted)))
