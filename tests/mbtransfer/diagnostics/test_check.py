"""Warnings before a task is run: a fixture that was locked in the pool, and one that was not."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mbtransfer.cli.commands.check import run_check
from mbtransfer.config import CheckConfig
from mbtransfer.diagnostics.check import RISKY, Finding, _box_coverage, _targets, as_dict, check_task
from mbtransfer.errors import UserError
from mbtransfer.model import Model
from mbtransfer.runtime.terminal import Terminal
from tasks.combinators import all_of
from tasks.errors import TaskError
from tasks.registry import make
from tasks.simulator import Simulator
from tasks.task import Move, move
from world_models.rewards.basis import Atoms
from world_models.rewards.boxes import SIDES, Box
from world_models.rewards.head import Head
from world_models.rewards.places import Place
from world_models.rewards.quantities import Quantities

KITCHEN = make("kitchen")

Drifting = Callable[..., Model]


@pytest.fixture(scope="module")
def scene() -> Simulator:
    return KITCHEN.make_scene(())


@pytest.fixture(autouse=True)
def _small_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """The drifting model is easy to plan in."""
    monkeypatch.setattr("mbtransfer.diagnostics.check.PLANNER", "mppi")


@pytest.fixture
def model(drifting: Drifting) -> Model:
    """The drawer was locked in its pool, the microwave was moved."""
    return drifting(visited=tuple(f.name for f in KITCHEN.spec.fixtures if f.name != "drawer"))


def test_a_locked_fixture_is_warned_of_and_a_visited_one_is_not(model: Model, scene: Simulator) -> None:
    locked = check_task(model, KITCHEN.task("drawer_open"), scene)
    known = check_task(model, KITCHEN.task("microwave_open"), scene)
    assert locked.risk > RISKY > known.risk
    assert locked.coverage == 0.0 and locked.least_known == "drawer"
    assert "drawer" in locked.warning and "adapt" in locked.warning
    assert known.coverage == 1.0 and known.least_known == "microwave" and not known.warning
    for found in (locked, known):
        assert found.imagined_success > 0.8  # in imagination every fixture opens by itself
        assert found.reward_error < 0.1 and found.success_error < 0.05


def test_what_does_not_even_succeed_in_imagination_is_risky(model: Model, scene: Simulator) -> None:
    with torch.no_grad():
        for parameter in model.dynamics.parameters():
            parameter.zero_()
    found = check_task(model, KITCHEN.task("microwave_open"), scene)
    assert found.coverage == 1.0 and found.imagined_success == 0.0 and found.risk == 1.0
    assert "in imagination" in found.warning


def test_a_head_whose_success_is_none_is_found(
    model: Model, scene: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    labelled = check_task(model, KITCHEN.task("microwave_open"), scene)
    assert labelled.true_success == 1.0 and not labelled.warning
    rewards = model.rewards(
        [KITCHEN.task("microwave_open")]
    )  # fitted, and kept, before the task means another thing
    monkeypatch.setattr(Move, "success", lambda self, obs: torch.zeros(obs.shape[:-1], dtype=torch.bool))
    found = check_task(model, KITCHEN.task("microwave_open"), scene)
    assert rewards.heads and (found.imagined_success, found.true_success, found.risk) == (1.0, 0.0, 1.0)
    assert "fulfil the task in only 0% of the imagined episodes" in found.warning


def test_the_least_known_fixture_of_several_counts(model: Model, scene: Simulator) -> None:
    spec = KITCHEN.spec
    parts = [move(spec, "microwave", 1.3), move(spec, "drawer", 0.27)]
    found = check_task(model, all_of("both", parts), scene)
    assert found.least_known == "drawer" and found.coverage == 0.0 and found.risk == 1.0


def test_a_task_that_no_state_of_the_pool_fulfils(model: Model, scene: Simulator) -> None:
    position = KITCHEN.spec.fixture("microwave").position
    shut = replace(model, pool=model.pool[model.pool.obs[:, position] < 1.0])
    found = check_task(shut, KITCHEN.task("microwave_open"), scene)
    assert found.coverage == 0.0 and found.risk == 1.0 and "no state of the pool" in found.warning


def test_a_task_that_every_state_of_the_pool_fulfils(model: Model, scene: Simulator) -> None:
    place = model.pool.obs[:, KITCHEN.spec.fixture("microwave").position]
    wide = replace(model, pool=model.pool[(place > 1.3) & (place < 1.5)])
    found = check_task(wide, KITCHEN.task("microwave_open"), scene)
    assert found.coverage == 0.0 and found.risk == 1.0 and "every state of the pool" in found.warning


def test_members_that_disagree_are_told(model: Model, scene: Simulator) -> None:
    with torch.no_grad():  # the second member's hand and fixtures go much faster
        model.dynamics.biases[1][model.dynamics.blocks :] *= 4
        model.dynamics.weights[1][model.dynamics.blocks :] *= 4
    model.notes["disagreement_percentiles"] = [0.0] * 101
    found = check_task(model, KITCHEN.task("microwave_open"), scene)
    assert found.disagreement == 1.0
    assert "disagree" in found.warning and found.risk < RISKY


def test_a_task_without_a_fixture(drifting: Drifting, scene: Simulator) -> None:
    found = check_task(drifting(), KITCHEN.reach([0.0, -0.17, 0.5]), scene)
    assert found.coverage == 1.0 and found.least_known == ""
    assert found.imagined_success >= 0.5 and not found.warning


@pytest.mark.parametrize("visited", [(), ("kettle_x", "kettle_y")])
def test_the_goal_of_a_place_is_covered_where_its_fixtures_have_been(
    drifting: Drifting, visited: tuple[str, ...]
) -> None:
    """A head whose success is a circle on the stove, as those of `kettle_into_a_circle`."""
    model = drifting(visited=visited)
    layout = model.dynamics.layout
    [kettle] = [body for body in layout.objects if len(body.positions) == 2]
    place = Place(kettle, (0.1, -0.1))
    circle = Quantities.of(layout, places=(place,)).places.start
    low, high = torch.full((1, SIDES), -torch.inf), torch.full((1, SIDES), torch.inf)
    high[0, 0] = 0.05
    head = Head(
        Atoms.of([])[:, None], torch.zeros(1), Box(torch.full((1, SIDES), circle), low, high), None, None, 0.0,
        0.0, (place,),
    )  # fmt: skip
    targets = {fixture.name: target for fixture, target in _targets(model, head, _box(head))}
    assert targets == {"kettle_x": 0.1, "kettle_y": -0.1}
    coverage, found = _box_coverage(model, head, _box(head), model.pool.obs[:20])
    assert (coverage == 1.0) == bool(visited) and (not visited or found in targets)


def _box(head: Head) -> Box:
    return Box(*(part[0] for part in vars(head.boxes).values()))


def test_it_is_reproducible(model: Model, scene: Simulator) -> None:
    one, other = (check_task(model, KITCHEN.task("tap_open"), scene, seed=3) for _ in range(2))
    assert one == other


def test_few_labels(model: Model, scene: Simulator) -> None:
    found = check_task(model, KITCHEN.task("microwave_open"), scene, labels=100)
    assert 0 <= found.success_error <= 1 and found.task == "microwave_open"
    assert set(as_dict(found)) == set(Finding.__dataclass_fields__)


@pytest.fixture
def folder(model: Model, tmp_path: Path) -> Path:
    model.save(tmp_path / "model")
    return tmp_path / "model"


def shown(config: CheckConfig) -> str:
    screen = io.StringIO()
    run_check(config, Terminal(file=screen, width=140))
    return screen.getvalue()


def test_the_command_shows_and_writes_findings(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "check.json"
    text = shown(CheckConfig(model=folder, task="drawer_open", json=path, device="cpu"))
    assert "warning" in text and "drawer" in text
    found = json.loads(path.read_text())
    assert found["name"] == "drawer_open" and not found["trusted"] and found["risk"] > RISKY
    assert len(found["warnings"]) == len(found["steps"]) == 1
    assert found["warnings"][0].startswith("drawer_open: ")
    assert found["steps"][0]["risk"] == found["risk"]


def test_a_recipe_is_as_risky_as_its_riskiest_step(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("name: own\nsteps: [microwave_open, drawer_open, microwave_open]\n")
    path = tmp_path / "check.json"
    shown(CheckConfig(model=folder, recipe=str(tmp_path / "own.yaml"), json=path, device="cpu"))
    found = json.loads(path.read_text())
    assert [step["task"] for step in found["steps"]] == ["microwave_open", "drawer_open"]
    assert found["risk"] == max(step["risk"] for step in found["steps"]) > RISKY
    assert len(found["warnings"]) == 1


def test_trust_is_said_too(folder: Path) -> None:
    assert "the model knows what this needs" in shown(
        CheckConfig(model=folder, task="tap_open", device="cpu")
    )


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"task": "drawer_opn"}, TaskError, "drawer_open"),
        ({"recipe": "teaa", "task": None}, TaskError, "tea"),
        ({"json": Path(__file__).parent}, UserError, "it is a folder"),
    ],
)
def test_wrong_input(folder: Path, changes: dict[str, object], error: type[Exception], words: str) -> None:
    flags = {"model": folder, "task": "drawer_open", "device": "cpu"} | changes
    with pytest.raises(error, match=words):
        shown(CheckConfig(**flags))  # type: ignore[arg-type]
