"""The rewards of `python -m benchmarks.rewards`: 25 to develop on and 15 others."""

from __future__ import annotations

from argparse import Namespace
from itertools import product
from pathlib import Path

import pandas as pd
import pytest
import torch

from mbtransfer.data.coverage import Coverage
from mbtransfer.diagnostics.diagnose import CAUSES, Diagnosis
from mbtransfer.errors import UserError
from mbtransfer.evaluation.config import EvalConfig
from mbtransfer.evaluation.parallel import make_runs
from mbtransfer.evaluation.results import EpisodeResult, append_rows
from mbtransfer.evaluation.results_store import ResultsStore
from mbtransfer.model import Model, model_layout
from mbtransfer.task_file import load_task_file
from tasks.registry import make
from tasks.task import Task
from world_models.dynamics.ensemble import EnsembleConfig, EnsembleDynamics
from world_models.transitions import Transitions

rewards = pytest.importorskip("benchmarks.rewards.__main__", reason="a wheel comes without benchmarks")
check = pytest.importorskip("benchmarks.rewards.check")
diagnosed = pytest.importorskip("benchmarks.rewards.diagnose")


def test_every_task_can_be_loaded_and_is_in_one_set_only() -> None:
    home, kitchen = Path(rewards.__file__).parent, make("kitchen")
    develop, held_back = (
        [task.name for task in load_task_file(home / f"{name}.py", kitchen)]
        for name in ("develop", "held_back")
    )
    assert len(set(develop)) == 25 and len(set(held_back)) == 15 and not set(develop) & set(held_back)


def test_an_unknown_condition_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.argv", ["rewards", "--model", str(tmp_path), "--conditions", "luck"])
    assert rewards.main() == 2
    assert capsys.readouterr().err.startswith("error: no condition 'luck'; there are learned; 1,000 labels;")


def heads(risk: list[float], success: list[float]) -> pd.DataFrame:
    """Two tasks with each number of labels, by turns."""
    columns = {"set": "develop", "task": ["a", "b"] * 2, "labels": [1000, 1000, 100, 100]}
    return pd.DataFrame(columns | {"risk": risk, "success": success})


def test_check_is_judged_for_each_number_of_labels_and_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "RESAMPLES", 20)
    found = heads(risk=[0.1, 0.9, 0.6, 0.2], success=[1.0, 0.5, 1.0, 0.0])
    lines = check.table(found).to_dict("records")
    assert [(one["labels"], one["fail"], one["AUROC"][:4]) for one in lines] == [
        ("1,000", 1, "1.00"), ("100", 1, "0.00"), ("all", 2, "0.75"),
    ]  # fmt: skip
    wrong = check.mistakes(found)
    assert wrong[1:] == ["a, 100 labels: risk 0.60, success 1.00", "b, 100 labels: risk 0.20, success 0.00"]


def test_check_reads_the_rows_that_there_are_and_says_how_to_make_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    context = EvalConfig(dynamics="oracle", reward="true").resolve()
    runs = make_runs([make("kitchen").task("tap_open")], [1000], 2)
    monkeypatch.setattr(check, "in_condition", lambda *_: (context, runs))
    asked = Namespace(model="m", rows=tmp_path, episodes=2, seed=1000)
    with pytest.raises(UserError, match=r"lacks episodes; run: .* --set develop --conditions '100 labels'"):
        check.successes(asked, "develop", 100)
    file = tmp_path / "develop-100 labels.csv"
    ResultsStore(file, context).begin(runs)
    row = ("tap_open", "task", "source", "cem", "oracle", "true", 0, 1000)
    append_rows(file, [EpisodeResult(*row, n, n == 0, 0.0, 9, None, 0, 1, 1.0) for n in range(2)])
    assert check.successes(asked, "develop", 100).to_dict() == {"tap_open": 0.5}


@pytest.fixture
def model(tmp_path: Path, generator: torch.Generator) -> Model:
    """A saved model that knows nothing."""
    kitchen = make("kitchen")
    layout = model_layout(kitchen.spec)
    obs = torch.rand(12, kitchen.spec.obs_size, generator=generator)
    pool = Transitions(obs, torch.zeros(12, kitchen.spec.action_size), obs)
    shape = EnsembleConfig(members=2, hidden=8)
    found = Model(kitchen, EnsembleDynamics(layout, shape, generator), pool, Coverage({}), {"data": ""})
    found.save(tmp_path / "model")
    return found


def task_reward(model: Model, task: Task) -> torch.Tensor:
    """The rewards of the pool in the order in which they are labelled."""
    pool = model.pool[model.draw(task.name)]
    return task.reward(pool.obs, pool.actions, pool.next_obs)


def test_ten_faults_are_planted_each_in_another_task_and_none_stays(model: Model, tmp_path: Path) -> None:
    faults, folder, label = diagnosed.FAULTS, tmp_path / "model", Model.label
    assert len({fault.task for fault in faults}) == len(faults) == 10
    for fault in faults:
        if fault.dynamics is diagnosed.hasty:  # takes seconds
            continue
        task = model.environment.task(fault.task)
        with fault.planted(folder) as config:
            wrong_labels = not torch.equal(model.label(task, 12).reward, task_reward(model, task))
            wrong_model = Model.load(config.model or "", device="cpu").digest != model.digest
        few_labels = "labels" in fault.settings
        found = [wrong_labels or few_labels, wrong_model, len(fault.settings) > few_labels]
        assert [cause for cause, there in zip(CAUSES, found, strict=True) if there] == [fault.cause]
    assert Model.label is label and Model.load(folder, device="cpu").digest == model.digest


def test_a_stuck_fixture_is_not_expected_to_move_and_the_others_are(model: Model) -> None:
    kitchen, dynamics = model.environment, model.dynamics
    task = kitchen.task("microwave_open")
    before = dynamics.weights[-1].clone()
    column = task.fixtures[0].position
    obs, action = model.pool.obs[:10].view(2, 5, -1).clone(), torch.ones(2, 5, kitchen.spec.action_size)
    obs[..., [i for f in kitchen.spec.fixtures for i in f.handle]] = 0.01  # in reach
    usual, still = (one(obs, action).mean for one in (dynamics, diagnosed.stuck(model, task)))
    assert (usual[..., column] != 0).any() and (still[..., column] == 0).all()
    others = [f.position for f in kitchen.spec.fixtures if f.name != "microwave"]
    assert torch.equal(usual[..., others], still[..., others]) and torch.equal(before, dynamics.weights[-1])


def test_right_is_what_was_planted() -> None:
    cells = list(product((False, True), repeat=3))
    lost = {"reward head": 1.0, "model": 0.0, "search": 0.0}
    one = Diagnosis("drawer_open", 1, {cell: float(cell[0]) for cell in cells}, lost, [], [])
    frame = diagnosed.table({4: one, 0: one})
    assert frame["named"].tolist() == ["reward head"] * 2 and frame["right"].tolist() == [True, False]
    assert diagnosed.rates(one).startswith(
        "none 0.00; search 0.00; model 0.00; model and search 0.00; reward"
    )
