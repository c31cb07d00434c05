"""A protocol runs from nothing to its table, goes on where it stopped, and says what is wrong with it."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from mbtransfer.cli.main import main
from mbtransfer.data import Dataset
from mbtransfer.errors import UserError
from mbtransfer.evaluation.results import read_rows
from mbtransfer.protocols import read_protocol, shipped_protocols
from mbtransfer.protocols.protocol import needs_model, plans
from mbtransfer.protocols.runner import Fold
from mbtransfer.runtime.terminal import Terminal
from tasks.recipe import shipped_recipes
from tasks.registry import make

TINY = """
about: A point to be moved.
env: dm_control:point_mass
rounds:
  - {steps: 400, behaviours: [noise], episode_steps: 20}
  - {steps: 40, behaviours: [planner], tasks: [reach_top_left], episode_steps: 20, candidates: 4, horizon: 2}
between: {structure: dense, hidden: 8, epochs: 1}
fit: {structure: dense, hidden: 8, epochs: 1}
prepare: {seconds: 0.1, labels: 200}
evaluate:
  learned: {horizon: 2, candidates: 4, iterations: 1, episodes: 1, labels: 200}
  oracle: {dynamics: oracle, reward: "true", horizon: 1, candidates: 2, iterations: 1, episodes: 1}
tasks: [reach_top_left, reach_top_right]
measure: return
least: 10
published: [{what: Somebody, value: 321, source: a paper}]
"""

FOLDS = """
about: Things to be moved.
env: kitchen
rounds:
  - {steps: 300, behaviours: [babble], episode_steps: 10}
  - {steps: 20, behaviours: [oracle], episode_steps: 10, candidates: 4, iterations: 1, horizon: 2}
  - {steps: 40, behaviours: [planner, goals], episode_steps: 10, candidates: 4, horizon: 2, chain: true}
between: {members: 2, hidden: 8, epochs: 1}
fit: {members: 2, hidden: 8, epochs: 1}
evaluate:
  learned: {horizon: 2, candidates: 4, iterations: 1, episodes: 1, labels: 100}
  distance alone: {reward: distance, horizon: 2, candidates: 4, iterations: 1, episodes: 1}
stripped:
  stripped pool: {horizon: 2, candidates: 4, iterations: 1, episodes: 1, labels: 100}
tasks: [drawer_open, light_on]
folds: [[drawer_open], [light_on]]
measure: success
"""


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr("tasks.control_suite.environment.STEPS", 20)
    make.cache_clear()
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    yield path
    make.cache_clear()  # others want whole episodes


def test_it_runs_and_goes_on_where_it_stopped(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "table.md"
    line = ["reproduce", str(tiny), "--out", str(tmp_path / "out"), "--table", str(table)]
    assert main(line) == 0
    text = table.read_text()
    for part in (
        "| learned |",
        "| oracle |",
        "| mean of source tasks | mean of held-out tasks | mean |",
        "| Somebody (a paper) | | | | | 321 |",
        "at least 10",
        "440 control steps",
    ):
        assert part in text, text
    assert "collected for the reward of reach_top_left; the others" in text
    capsys.readouterr()
    assert main(line) == 0
    told = capsys.readouterr().out
    assert told.count("kept from before") == 7 and table.read_text() == text
    tiny.write_text(TINY.replace("epochs: 1", "epochs: 2"))
    assert main(line) == 2
    assert "other settings" in capsys.readouterr().err


@pytest.mark.slow
def test_what_is_held_out_is_never_collected_for(tmp_path: Path) -> None:
    (path := tmp_path / "folds.yaml").write_text(FOLDS)
    assert main(["reproduce", str(path), "--out", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out" / "results.md").read_text()
    for part in (
        "| learned |",
        "| distance alone |",
        "| stripped pool |",
        "never collected for these: drawer_open; ",
    ):
        assert part in text, text
    fold = tmp_path / "out" / "seed-0" / "fold-0"
    stages = Fold(read_protocol(str(path)), fold, 0, 1, Terminal(), {}, ("drawer_open",)).stages()
    asked = [stage.work.args[0].tasks for stage in stages if stage.title.startswith("collect")]
    shards = [{file.name for file in folder.glob("*data/shards/*")} for folder in (fold.parent, fold)]
    assert shards[0] < shards[1]  # what no group's tasks had a say in is collected once, for all
    assert asked[0] == () and "light_on" in asked[1] and "drawer_open" not in (*asked[1], *asked[2])
    drawer = make("kitchen").spec.fixture("drawer")
    left = Dataset.open(fold / "stripped-data").transitions()
    whole = Dataset.open(fold / "data").transitions()
    moved, before = (
        np.abs(some.next_obs[:, drawer.position] - some.obs[:, drawer.position]) for some in (left, whole)
    )
    assert len(left.obs) < len(whole.obs) and moved.max() < 0.001 * drawer.span < before.max()
    controls = read_rows(fold / "rows" / "distance alone.csv")
    assert list(controls["reward"]) == ["distance"] and list(controls["task"]) == ["drawer_open"]


def test_every_stage_has_the_benchmarks_tracker(tiny: Path, tmp_path: Path) -> None:
    flags = {"tracker": "tensorboard", "tracker_group": "night"}
    stages = list(Fold(read_protocol(str(tiny)), tmp_path / "out", 0, 1, Terminal(), flags).stages())
    asked = [stage.work.args[0] for stage in stages]
    assert {(config.tracker, config.tracker_group) for config in asked} == {("tensorboard", "night")}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("hidden: 8", "hiden: 8", "did you mean 'hidden'"),
        ("measure: return", "measure: luck", "measure must be"),
        ("  learned:", "  learnt:", "a way called learned"),
        ("about: A point to be moved.", "", "about must be given"),
        ("least: 10", "leest: 10", "did you mean 'least'"),
        ("env:", "env: [", "tiny.yaml:4: expected"),
        ("least: 10", "least: 1x", "least needs a number"),
        ("tasks: [reach_top_left, reach_top_right]", "tasks: 3", "tasks needs a list"),
        ("tasks: [reach_top_left, reach_top_right]", "", "nothing to measure"),
        ("measure: return", "measure: return\nfolds: [[reach_top_left]]", "every task once"),
        ("behaviours: [noise]", "behaviours: [planner]", "first round"),
    ],
)
def test_what_is_wrong_is_told(tiny: Path, old: str, new: str, told: str) -> None:
    tiny.write_text(TINY.replace(old, new))
    with pytest.raises(UserError, match=told):
        read_protocol(str(tiny))


def test_goals_of_the_robots_own_are_no_reward_of_a_task() -> None:
    for behaviour in ("goals", "curious"):
        assert needs_model({"behaviours": [behaviour]}) and not plans({"behaviours": [behaviour]})
    assert plans({"behaviours": ["goals", "oracle"]})


PACKAGES = {"franka_kitchen": "gymnasium_robotics", "ogbench": "ogbench"}
"""What an environment needs beside mbtransfer itself."""


def test_shipped_protocols_can_be_read() -> None:
    assert "walker" in shipped_protocols()
    for name in shipped_protocols():
        protocol = read_protocol(name)
        assert protocol.name == name and protocol.published
        extra = PACKAGES.get(protocol.env.partition(":")[0])
        if extra and not find_spec(extra):
            continue
        assert set(protocol.tasks) <= set(make(protocol.env).tasks)
        assert set(protocol.recipes) <= set(shipped_recipes(protocol.env))
    with pytest.raises(UserError, match="walker"):
        read_protocol("walkr")
