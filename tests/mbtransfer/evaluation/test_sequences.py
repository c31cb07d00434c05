"""Sequences of tasks in a task file: found by name, done by workers, refused where only one task will do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mbtransfer.errors import UserError
from mbtransfer.evaluation.config import EvalConfig
from mbtransfer.evaluation.evaluate import evaluate_runs
from mbtransfer.evaluation.parallel import Run, make_runs
from mbtransfer.evaluation.task_selection import find_task, find_task_or_recipe, select_tasks
from mbtransfer.task_file import load_task_file
from tasks.recipe import Recipe, find_recipe
from tests.mbtransfer.evaluation.tiny import KITCHEN, SETUP, quiet

OWN = """
from tasks.combinators import then
from tasks.task import Task

class Shine(Task):
    def reward(self, obs, action, next_obs):
        way = next_obs[..., list(spec.fixture("light_switch").handle)].norm(dim=-1)
        return -(next_obs[..., spec.index("light_switch")] - 0.6).abs() - way
    def success(self, obs):
        return obs[..., spec.index("light_switch")] > 0.3

shine = Shine("shine", "", "user")
flash = then("flash", [shine, env.move("light_switch", 0.0)], spec)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(OWN)
    return tmp_path / "mine.py"


def test_a_sequence_of_ones_own_is_passed_by_name(path: Path) -> None:
    own, shipped = load_task_file(path, KITCHEN), find_recipe("tea", KITCHEN)
    runs = make_runs([*own, shipped], (0,), 1, own)
    assert runs == [Run("shine", 0, 1), Run("flash", 0, 1, "recipe"), Run(shipped, 0, 1, "recipe")]


def test_its_rows_are_continued_until_the_file_changes(path: Path) -> None:
    rows = path.with_suffix(".csv")
    setup = replace(SETUP, task_file=str(path), horizon=2, candidates=4, iterations=1)
    own = setup.resolve().own_tasks
    runs = make_runs(select_tasks(KITCHEN, tasks=["flash"], own=own), (0,), 1, own)
    frame = evaluate_runs(setup, runs, rows=rows, console=quiet())
    assert frame["kind"].tolist() == ["recipe"] and frame["steps_total"].tolist() == [2]
    assert evaluate_runs(setup, runs, rows=rows, console=quiet()).equals(frame)
    path.write_text(OWN.replace("0.3", "0.4"))
    with pytest.raises(UserError, match="definition was"):
        evaluate_runs(setup, runs, rows=rows, console=quiet())


def test_a_sequence_goes_by_its_name_unless_only_a_task_will_do(path: Path) -> None:
    own = load_task_file(path, KITCHEN)
    assert [type(one).__name__ for one in own] == ["Shine", "Recipe"]
    assert isinstance(find_task_or_recipe(KITCHEN, "flash", own), Recipe)
    assert find_task_or_recipe(KITCHEN, "shine", own) is find_task(KITCHEN, "shine", own)
    with pytest.raises(
        UserError, match=r"flash is a sequence of tasks \(shine, move\(light_switch, 0\)\), and this"
    ):
        find_task(KITCHEN, "flash", own)


@pytest.mark.slow
def test_the_true_simulator_does_every_sequence(path: Path) -> None:
    path.write_text(
        OWN
        + "ajar = then('open_then_close', [env.move('drawer', 0.3), env.move('drawer', 0.0)], spec)\n"
        + "touch = then('kettle_then_tap', [env.reach('kettle_x'), env.reach('tap')], spec)\n"
    )
    setup = EvalConfig(dynamics="oracle", reward="true", task_file=str(path))
    own = setup.resolve().own_tasks
    frame = evaluate_runs(setup, make_runs(own, (0,), 5, own), workers=2, console=quiet())
    assert set(frame["task"]) == {"shine", "flash", "open_then_close", "kettle_then_tap"}
    assert len(frame) == 20 and frame["success"].all()
