"""Evaluation with the true simulator and true rewards: no model is needed, a tiny search is enough."""

from __future__ import annotations

import io
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from mbtransfer.collecting.behaviours import Babble
from mbtransfer.collecting.runner import run_lockstep
from mbtransfer.config import EvaluateConfig
from mbtransfer.errors import UserError
from mbtransfer.evaluate import evaluate_runs, run_evaluate, setup_of
from mbtransfer.evaluation import evaluate_recipes, evaluate_tasks, oracle_pilot, play_episodes
from mbtransfer.evaluation.asked import find_asked, find_task
from mbtransfer.evaluation.pilot import Pilot
from mbtransfer.evaluation.play import Moment
from mbtransfer.evaluation.recipe_script import RecipeScript
from mbtransfer.evaluation.runs import Run, make_runs
from mbtransfer.evaluation.scripts import TaskScript
from mbtransfer.evaluation.setup import Setup
from mbtransfer.evaluation.starts import first_targets, recipe_starts, task_starts
from mbtransfer.goal import TrueRewards
from mbtransfer.layout import model_layout
from mbtransfer.model import Model
from mbtransfer.rows import EpisodeResult, append_rows, read_rows
from mbtransfer.trust.coverage import Coverage
from planners.errors import PlannerError
from tasks.errors import TaskError
from tasks.recipe import find_recipe, parse_recipe
from tasks.recipe.model import Recipe
from tasks.registry import make
from tasks.task import FAR
from world_models.ensemble import EnsembleConfig, EnsembleDynamics
from world_models.transitions import Transitions

KITCHEN = make("kitchen")
SEARCH = {"horizon": 8, "candidates": 16, "iterations": 2}
SETUP = Setup(dynamics="oracle", reward="true", horizon=8, candidates=16, iterations=2)
CONFIG = EvaluateConfig(
    dynamics="oracle", reward="true", tasks=("light_on",), episodes=2, workers=1, **SEARCH
)  # fmt: skip
TWO_STEPS = "name: two\nsteps: [light_on, light_off]\n"


@pytest.fixture(scope="module")
def pilot() -> Pilot:
    return oracle_pilot(KITCHEN, settings=SEARCH)


def quiet() -> Console:
    return Console(file=io.StringIO(), width=100)


def timeless(rows: list[EpisodeResult]) -> list[EpisodeResult]:
    """Rows without the time that decisions took."""
    return [replace(row, plan_ms=0.0) for row in rows]


def test_an_easy_task_is_solved_and_its_rows_say_so(pilot: Pilot) -> None:
    rows = evaluate_tasks(pilot, [KITCHEN.task("light_on")], episodes=2, seeds=(0,))
    assert [row.episode for row in rows] == [0, 1]
    for row in rows:
        assert (row.task, row.kind, row.split, row.dynamics, row.reward) == (
            "light_on", "task", "source", "oracle", "true",
        )  # fmt: skip
        assert row.success and row.steps == row.steps_to_success and row.steps_done == row.steps_total == 1
        assert row.plan_ms > 0


def test_the_same_seed_gives_the_same_rows_and_another_seed_others(pilot: Pilot) -> None:
    task = KITCHEN.task("drawer_close")
    first, again, other = (timeless(evaluate_tasks(pilot, [task], episodes=2, seeds=[s])) for s in (0, 0, 1))
    assert first == again
    assert first[0].return_ != other[0].return_


def test_success_needs_three_control_steps_in_a_row() -> None:
    task = KITCHEN.task("light_on")
    script = TaskScript(task, TrueRewards([task]), limit=10)
    there, away = (torch.zeros(1, KITCHEN.spec.obs_size) for _ in range(2))
    there[:, KITCHEN.spec.fixture("light_switch").position] = 0.6
    script.begin(away)
    ended = [bool(script.advance(obs).ended[0]) for obs in (there, there, away, there, there, there)]
    assert ended == [False] * 5 + [True]


def test_a_short_recipe_is_followed_step_by_step(pilot: Pilot) -> None:
    recipe = parse_recipe(TWO_STEPS, KITCHEN)
    moments: list[Moment] = []
    (played,) = play_episodes(pilot, recipe, seed=0, episodes=1, watch=moments.append)
    assert played.result.success and (played.result.steps_done, played.result.steps_total) == (2, 2)
    assert played.result.split == "recipes"
    assert list(dict.fromkeys(played.after)) == ["light_on", "light_off"]
    assert len(played.states) == played.result.steps + 1 == len(moments) + 1


def test_a_failed_recipe_says_why(pilot: Pilot) -> None:
    recipe = parse_recipe("name: hasty\nsteps: [{task: kettle_back, timeout: 3}]\n", KITCHEN)
    (played,) = play_episodes(pilot, recipe, seed=0, episodes=1)
    assert not played.result.success and played.result.steps_to_success is None
    assert "timed out" in played.why and played.result.steps == 3


class Doubtful(TrueRewards):
    """Never believes that anything is done."""

    def success(self, obs: torch.Tensor) -> torch.Tensor:
        """Nothing."""
        return torch.zeros(*obs.shape[:-1], len(self.tasks))


def test_the_true_predicates_judge_and_the_belief_picks_the_step() -> None:
    recipe = parse_recipe("name: one\nsteps: [light_on]\n", KITCHEN)
    there = torch.zeros(2, KITCHEN.spec.obs_size)
    there[0, KITCHEN.spec.fixture("light_switch").position] = 0.6
    doubtful = RecipeScript(recipe, Doubtful, KITCHEN.spec.action_size)
    doubtful.begin(there)
    verdicts = [doubtful.advance(there) for _ in range(3)]
    assert verdicts[2].success.tolist() == [True, False], "done in truth, though never believed"
    two = RecipeScript(parse_recipe(TWO_STEPS, KITCHEN), Doubtful, KITCHEN.spec.action_size)
    two.begin(there)
    for _ in range(5):
        two.advance(there)
    assert two.now(0) == "light_on" and two.steps(0) == (1, 2), "the belief has not moved on, the truth has"


def test_a_change_of_step_drops_the_old_plan(pilot: Pilot) -> None:
    agent = pilot.agent(0)
    states = task_starts(pilot.scene, KITCHEN.task("light_on"), 0, 2)
    obs = torch.from_numpy(pilot.scene.observe(states))
    script = TaskScript(KITCHEN.task("light_on"), TrueRewards([KITCHEN.task("light_on")]), 10)
    script.begin(obs)
    agent.act(obs, states, script.goal())
    agent.forget(torch.tensor([True, False]))
    assert agent._plan is not None
    assert torch.equal(agent._plan[0], agent.bounds.middle.expand_as(agent._plan[0]))
    assert not torch.equal(agent._plan[1], agent.bounds.middle.expand_as(agent._plan[1]))


@pytest.mark.parametrize("name", ["tea", "night", "soup"])
def test_every_fixture_of_a_recipe_starts_away_from_its_first_target(pilot: Pilot, name: str) -> None:
    recipe = find_recipe(name, KITCHEN)
    states = recipe_starts(pilot.scene, recipe, 0, 3)
    obs = pilot.scene.observe(states)
    for fixture, to in first_targets(recipe).items():
        assert (np.abs(obs[:, fixture.position] - to) >= FAR * fixture.span - 1e-6).all()
    assert np.array_equal(states, recipe_starts(pilot.scene, recipe, 0, 3))
    assert not np.array_equal(states, recipe_starts(pilot.scene, recipe, 1, 3))


def test_the_number_of_workers_changes_nothing() -> None:
    asked = [KITCHEN.task("light_on"), KITCHEN.task("drawer_close"), parse_recipe(TWO_STEPS, KITCHEN)]
    runs = make_runs(asked, seeds=(0,), episodes=1)
    one, two = (evaluate_runs(SETUP, runs, workers=n, console=quiet()) for n in (1, 2))
    assert one.drop(columns="plan_ms").equals(two.drop(columns="plan_ms"))
    assert one["task"].tolist() == ["light_on", "drawer_close", "two"]


def test_a_rerun_does_only_what_is_missing(tmp_path: Path) -> None:
    rows, runs = tmp_path / "rows.csv", make_runs([KITCHEN.task("light_on")], seeds=(0, 1), episodes=1)
    evaluate_runs(SETUP, runs[:1], rows=rows, console=quiet())
    first = rows.read_bytes()
    frame = evaluate_runs(SETUP, runs, rows=rows, console=quiet())
    assert rows.read_bytes().startswith(first)
    assert frame["seed"].tolist() == [0, 1] == read_rows(rows)["seed"].tolist()
    complete = rows.read_bytes()
    assert len(evaluate_runs(SETUP, runs, rows=rows, console=quiet())) == 2
    assert rows.read_bytes() == complete


def test_a_run_that_was_cut_short_is_done_again(tmp_path: Path) -> None:
    rows, runs = tmp_path / "rows.csv", make_runs([KITCHEN.task("light_on")], seeds=(0,), episodes=2)
    whole = evaluate_runs(SETUP, runs, rows=rows, console=quiet())
    lines = rows.read_bytes().splitlines(keepends=True)
    rows.write_bytes(b"".join(lines[:2]) + lines[2][:20])
    again = evaluate_runs(SETUP, runs, rows=rows, console=quiet())
    assert again.drop(columns="plan_ms").equals(whole.drop(columns="plan_ms"))


def test_rows_of_other_settings_are_not_mixed_in(tmp_path: Path) -> None:
    rows, task = tmp_path / "rows.csv", [KITCHEN.task("light_on")]
    evaluate_runs(SETUP, make_runs(task, (0,), 1), rows=rows, console=quiet())
    before = rows.read_bytes()
    with pytest.raises(UserError, match="episodes was 1, now is 2"):
        evaluate_runs(SETUP, make_runs(task, (0,), 2), rows=rows, console=quiet())
    with pytest.raises(UserError, match=r"light_on, seed 0, made with other settings \(planner_settings"):
        evaluate_runs(replace(SETUP, candidates=12), make_runs(task, (0,), 1), rows=rows, console=quiet())
    assert rows.read_bytes() == before


def test_rows_without_their_settings_are_not_trusted(tmp_path: Path, pilot: Pilot) -> None:
    rows, task = tmp_path / "rows.csv", [KITCHEN.task("light_on")]
    append_rows(rows, evaluate_tasks(pilot, task, episodes=1))
    with pytest.raises(UserError, match="does not say which"):
        evaluate_runs(SETUP, make_runs(task, (0,), 1), rows=rows, console=quiet())


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


def test_what_is_asked_twice_is_done_once() -> None:
    asked = find_asked(KITCHEN, tasks=["light_on", "light_on"], recipes=["tea", "tea"])
    assert [one.name for one in asked] == ["light_on", "tea"]
    assert make_runs(asked[:1], (0, 0), 1) == [Run("light_on", 0, 1)]


def test_splits() -> None:
    everything = find_asked(KITCHEN)
    recipes = [one for one in everything if isinstance(one, Recipe)]
    assert len(everything) - len(recipes) == len(KITCHEN.tasks) and len(recipes) >= 10
    assert find_asked(KITCHEN, split="all") == everything
    assert find_asked(KITCHEN, split="recipes") == recipes
    sources = find_asked(KITCHEN, split="source")
    assert sources and all(not isinstance(one, Recipe) and one.split == "source" for one in sources)
    assert find_asked(KITCHEN, tasks=["light_dim"], split="source")[0].name == "light_dim"


def test_unknown_words_are_answered_with_the_nearest_one() -> None:
    with pytest.raises(UserError, match="source"):
        find_asked(KITCHEN, split="sources")
    with pytest.raises(UserError, match="oracle"):
        Setup(dynamics="oracles", reward="true")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learned nothing, with a small pool: enough to see that all parts meet."""
    folder, scene, rng = tmp_path_factory.mktemp("model"), KITCHEN.make_scene(()), np.random.default_rng(0)
    babble = Babble(KITCHEN.spec, 10, rng)
    episodes = run_lockstep(scene, babble, scene.sample_states(rng, 10), 20, tag="babble", seed=0)
    obs, actions, following = (
        np.concatenate(parts)
        for parts in zip(*((e.obs[:-1], e.actions, e.obs[1:]) for e in episodes), strict=True)
    )
    dynamics = EnsembleDynamics(
        model_layout(KITCHEN.spec), EnsembleConfig(members=2, hidden=8), torch.Generator().manual_seed(0)
    )
    pool = Transitions(*(torch.from_numpy(part) for part in (obs, actions, following)))
    Model(KITCHEN, dynamics, pool, Coverage.of(KITCHEN.spec, obs, following), {"data": "x"}).save(folder)
    return folder


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
    fewer = setup_of(replace(config, labels=100))
    runs = make_runs([KITCHEN.task("light_on")], (0,), 1)
    assert set(evaluate_runs(fewer, runs, rows=tmp_path / "rows.csv", console=quiet())["labels"]) == {100}
    assert len(read_rows(tmp_path / "rows.csv")) == 3, "another number of labels is another line"


def test_more_labels_than_the_pool_holds_are_refused(model: Path) -> None:
    with pytest.raises(UserError, match="200 transitions"):
        Setup(model=str(model), labels=1000, device="cpu").pilot()


def test_a_model_that_was_fitted_anew_is_read_anew(tmp_path: Path, model: Path) -> None:
    copied = tmp_path / "model"
    shutil.copytree(model, copied)
    setup = Setup(model=str(copied), device="cpu")
    first = setup.load()
    assert setup.load() is first
    for file in copied.iterdir():
        os.utime(file, ns=(1, 1))
    assert setup.load() is not first


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
    (own,) = find_asked(KITCHEN, own=setup.own_tasks())
    frame = evaluate_runs(setup, make_runs([own], (0, 1), 1), workers=2, rows=rows, console=quiet())
    assert frame["task"].tolist() == ["shine", "shine"] and set(frame["split"]) == {"user"}
    assert frame["success"].all()
    (tmp_path / "mine.py").write_text(OWN.replace("0.3", "0.4"))
    with pytest.raises(UserError, match="definition was"):
        evaluate_runs(setup, make_runs([own], (0, 1), 1), rows=rows, console=quiet())


def test_two_recipes_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: tea\nsteps: [light_on]\n")
    with pytest.raises(UserError, match="tea"):
        find_asked(KITCHEN, recipes=["tea", str(tmp_path / "mine.yaml")])


@pytest.mark.parametrize("name", ["move(drawer, 0.2)", "move( drawer ,0.2 )"])
def test_tasks_made_to_measure_go_by_their_name(name: str) -> None:
    assert find_task(KITCHEN, name) == KITCHEN.move("drawer", 0.2)
    assert find_task(KITCHEN, "reach(drawer)") == KITCHEN.reach("drawer")
    assert find_task(KITCHEN, "reach(0, -0.2, 0.5)") == KITCHEN.reach([0.0, -0.2, 0.5])


def test_rows_of_recipes_count_their_steps(pilot: Pilot) -> None:
    recipe = parse_recipe("name: undone\nsteps: [light_on, {task: light_off, timeout: 3}]\n", KITCHEN)
    (row,) = evaluate_recipes(pilot, [recipe], episodes=1)
    assert not row.success and (row.steps_done, row.steps_total) == (1, 2)


def test_precision_is_decided_once_for_all_processes(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gains = iter((3.0, 0.1))
    monkeypatch.setattr("world_models.precision._gain", lambda device: next(gains))
    setup = Setup(model=str(model), device="cpu").settled()
    assert setup.precision == "bfloat16"
    assert setup.settled() == setup
