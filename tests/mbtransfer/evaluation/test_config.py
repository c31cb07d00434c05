"""The model with which is evaluated: its labels, how often it is read, its precision."""

from __future__ import annotations

from pathlib import Path

import pytest

from mbtransfer.cli.parser import parse
from mbtransfer.errors import UserError
from mbtransfer.evaluation.config import EvalConfig
from mbtransfer.evaluation.evaluate import evaluate_runs
from mbtransfer.evaluation.parallel import make_runs
from mbtransfer.evaluation.task_selection import select_tasks
from mbtransfer.model import Model
from mbtransfer.runtime.terminal import Terminal
from tasks.privileged_task import PhysicsTask
from tasks.recipe import find_recipe
from tests.mbtransfer.evaluation.tiny import fastest_in


def test_more_labels_than_the_pool_holds_are_refused(model: Path) -> None:
    with pytest.raises(UserError, match="200 transitions"):
        EvalConfig(model=str(model), labels=1000, device="cpu").resolve()


def test_a_model_is_read_once_for_all_runs_of_a_process(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    load = Model.load
    monkeypatch.setattr(
        Model, "load", lambda folder, **flags: (read.append(folder), load(folder, **flags))[1]
    )
    config = EvalConfig(model=str(model), device="cpu", reward="true", horizon=2, candidates=4, iterations=1)
    tasks = select_tasks(config.resolve().environment, tasks=["drawer_open", "tap_open"])
    assert len(evaluate_runs(config, make_runs(tasks, (0, 1), 1), console=Terminal(quiet=True))) == 4
    assert len(read) == 2  # once here, once by evaluate_runs


def test_precision_is_decided_once_for_all_processes(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fastest_in("bfloat16", monkeypatch)
    setup = EvalConfig(model=str(model), device="cpu").resolve().config
    assert setup.precision == "bfloat16"
    fastest_in("float32", monkeypatch)
    assert setup.resolve().config == setup


def test_auto_plans_with_a_task_s_own_reward_where_observations_tell_it(model: Path) -> None:
    context = EvalConfig(model=str(model), device="cpu", reward="auto").resolve()
    drawer = context.environment.task("drawer_open")
    decided = context.decide_reward([drawer, find_recipe("breakfast", context.environment)])
    assert (decided.config.reward, decided.controller.reward_name, decided.controller.labels) == (
        "true",
        "true",
        0,
    )
    assert decided.reward_note() == "reward: as the task defines it"
    hidden = PhysicsTask("hidden", "", "user", 40, judge=lambda s, a, after: after[:, 0])
    decided = context.decide_reward([drawer, hidden])
    assert (decided.config.reward, decided.controller.reward_name) == ("learned", "learned")
    assert decided.reward_note() == "reward: learned from 200 labels"


def test_auto_with_the_simulator_needs_no_model() -> None:
    context = EvalConfig(dynamics="oracle", reward="auto").resolve()
    hidden = PhysicsTask("hidden", "", "user", 40, judge=lambda s, a, after: after[:, 0])
    assert context.decide_reward([hidden]).config.reward == "true"


@pytest.mark.parametrize(
    ("words", "reward"),
    [
        ("--tasks tap_open", "learned"),
        ("--task-file t.py", "auto"),
        ("--task-file t.py --reward learned", "learned"),
        ("--tasks tap_open --reward true", "true"),
    ],
)
def test_own_tasks_are_planned_for_with_their_own_rewards_unless_told_otherwise(
    words: str, reward: str
) -> None:
    assert EvalConfig.from_flags(parse(["evaluate", "--model", "m", *words.split()])).reward == reward
