from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from mbtransfer.errors import UserError
from mbtransfer.evaluation.parallel import make_runs
from mbtransfer.evaluation.task_selection import find_task
from mbtransfer.labels.label_file import LabelTable, write_labels
from mbtransfer.labels.labelled_task import LabelledTask
from mbtransfer.model import Model
from tasks.registry import make
from world_models.transitions import Transitions

KITCHEN = make("kitchen")


def written(path: Path, model: Model, count: int = 100) -> Path:
    labels = model.label(KITCHEN.task("drawer_open"), count)
    table = LabelTable.blank(Transitions(labels.obs, labels.actions, labels.next_obs))
    write_labels(path, table.answered(~labels.success | True, labels.reward, labels.success), KITCHEN.spec)
    return path


def test_a_label_file_is_a_task(fitted: Model, tmp_path: Path) -> None:
    path = written(tmp_path / "pull.csv", fitted)
    task = find_task(KITCHEN, str(path))
    assert isinstance(task, LabelledTask) and task.name == "pull"
    assert "100 labels; success is judged by the reward head; there is no function" in task.description
    obs = (
        fitted.pool.next_obs.unflatten(0, (2, -1))
        if len(fitted.pool) % 2 == 0
        else fitted.pool.next_obs[None]
    )
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


def test_too_few_labels_and_taken_names_are_refused(fitted: Model, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least 10 labels; there are 9"):
        find_task(KITCHEN, str(written(tmp_path / "pull.csv", fitted, 9)))
    with pytest.raises(UserError, match="has a task 'drawer_open' already; rename the file"):
        find_task(KITCHEN, str(written(tmp_path / "drawer_open.csv", fitted)))
