"""The command: what it writes, what it refuses, and workers, models and tasks of one's own in it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mbtransfer.cli.commands.evaluate import run_evaluate
from mbtransfer.errors import UserError
from mbtransfer.evaluation.config import EvalConfig
from mbtransfer.evaluation.evaluate import evaluate_runs
from mbtransfer.evaluation.parallel import make_runs
from mbtransfer.evaluation.results import read_rows
from mbtransfer.evaluation.task_selection import select_tasks
from planners.errors import PlannerError
from tasks.errors import TaskError
from tasks.recipe import parse_recipe
from tests.mbtransfer.evaluation.tiny import CONFIG, KITCHEN, SETUP, TWO_STEPS, quiet


@pytest.mark.slow
@pytest.mark.slow
def test_the_number_of_workers_changes_nothing() -> None:
    asked = [KITCHEN.task("light_on"), KITCHEN.task("drawer_close"), parse_recipe(TWO_STEPS, KITCHEN)]
    runs = make_runs(asked, seeds=(0,), episodes=1)
    one, two = (evaluate_runs(SETUP, runs, workers=n, console=quiet()) for n in (1, 2))
    assert one.drop(columns="plan_ms").equals(two.drop(columns="plan_ms"))
    assert one["task"].tolist() == ["light_on", "drawer_close", "two"]


def test_the_json_holds_what_scripts_rely_on(tmp_path: Path) -> None:
    config = replace(CONFIG, json=tmp_path / "out.json", rows=tmp_path / "rows.csv")
    run_evaluate(config, quiet())
    found = json.loads((tmp_path / "out.json").read_text())
    assert set(found) == {"tasks", "splits", "decisions", "diverged", "plan_ms", "settings"}
    (task,) = found["tasks"]
    keys = {"name", "split", "episodes", "success_rate", "return_mean", "steps_to_success_mean"}
    assert keys <= set(task) and (task["name"], task["episodes"]) == ("light_on", 2)
    (split,) = found["splits"].values()
    assert {f"success_{name}" for name in ("mean", "iqm", "median", "min", "ci95")} <= set(split)
    assert 0 < found["plan_ms"]["p50"] <= found["plan_ms"]["p95"] <= found["plan_ms"]["p99"]
    assert {"planner", "dynamics", "reward", "episodes", "seeds", "versions"} <= set(found["settings"])
    assert found["settings"]["planner_settings"]["candidates"] == 16


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"tasks": ("microwave_opn",)}, TaskError, "microwave_open"),
        ({"tasks": ("move(drawr, 0.1)",)}, TaskError, "drawer"),
        ({"tasks": ("move(drawer, 7)",)}, TaskError, "range"),
        ({"tasks": ("move(drawer, far)",)}, UserError, "not a number"),
        ({"recipes": ("teas",)}, TaskError, "tea"),
        ({"planner": "mpi"}, PlannerError, "mppi"),
        ({"candidates": 0}, PlannerError, "candidates"),
        ({"dynamics": "learned"}, UserError, "--model"),
        ({"env": "kitchn"}, TaskError, "kitchen"),
        ({"seeds": (-1,)}, TaskError, "negative"),
        ({"seeds": ()}, UserError, "seed"),
    ],
)
def test_wrong_input_is_one_clear_line(
    tmp_path: Path, changes: dict[str, object], error: type[Exception], words: str
) -> None:
    config = replace(CONFIG, rows=tmp_path / "rows.csv", **changes)
    with pytest.raises(error, match=words) as caught:
        run_evaluate(config, quiet())
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "rows.csv").exists()


@pytest.mark.parametrize("flag", ["json", "rows"])
def test_a_file_that_cannot_be_written_is_told_before_any_work(tmp_path: Path, flag: str) -> None:
    with pytest.raises(UserError, match="folder"):
        run_evaluate(replace(CONFIG, **{flag: tmp_path}), quiet())
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="cannot write"):
        run_evaluate(replace(CONFIG, **{flag: tmp_path / "file" / "out"}), quiet())


@pytest.mark.slow
def test_learned_dynamics_and_heads_take_part(tmp_path: Path, model: Path) -> None:
    recipe = tmp_path / "hasty.yaml"
    recipe.write_text("name: hasty\nsteps: [{task: light_on, timeout: 4}, light_off]\n")
    config = replace(
        CONFIG, dynamics="learned", reward="learned", model=model, labels=150, recipes=(str(recipe),),
        particles=2, json=tmp_path / "out.json", rows=tmp_path / "rows.csv", episodes=1, device="cpu",
    )  # fmt: skip
    run_evaluate(config, quiet())
    rows = read_rows(tmp_path / "rows.csv")
    assert rows["task"].tolist() == ["light_on", "hasty"]
    assert set(rows["dynamics"]) == set(rows["reward"]) == {"learned"} and set(rows["labels"]) == {150}
    settings = json.loads((tmp_path / "out.json").read_text())["settings"]
    assert settings["particles"] == 2 and settings["model_digest"]
    fewer = EvalConfig.from_flags(replace(config, labels=100))
    runs = make_runs([KITCHEN.task("light_on")], (0,), 1)
    assert set(evaluate_runs(fewer, runs, rows=tmp_path / "rows.csv", console=quiet())["labels"]) == {100}
    assert len(read_rows(tmp_path / "rows.csv")) == 3, "another number of labels is another line"


OWN = """
def reward(obs, action, next_obs):
    \"\"\"Switch the light.\"\"\"
    return -(next_obs[..., spec.index("light_switch")] - 0.6).abs() - next_obs[..., HANDLE].norm(dim=-1)

def success(obs):
    return obs[..., spec.index("light_switch")] > 0.3

NAME = "shine"
HANDLE = list(spec.fixture("light_switch").handle)
"""


def test_a_task_of_ones_own_is_evaluated_in_workers_too(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OWN)
    rows, setup = tmp_path / "rows.csv", replace(SETUP, task_file=str(tmp_path / "mine.py"))
    (own,) = select_tasks(KITCHEN, own=setup.resolve().own_tasks)
    frame = evaluate_runs(setup, make_runs([own], (0, 1), 1), workers=2, rows=rows, console=quiet())
    assert frame["task"].tolist() == ["shine", "shine"] and set(frame["split"]) == {"user"}
    assert frame["success"].all()
    (tmp_path / "mine.py").write_text(OWN.replace("0.3", "0.4"))
    with pytest.raises(UserError, match="definition was"):
        evaluate_runs(setup, make_runs([own], (0, 1), 1), rows=rows, console=quiet())
