from __future__ import annotations

import dataclasses
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest
import torch

from planners import registry
from planners.base import Bounds
from planners.errors import PlannerError
from planners.registry import PLANNERS, make_planner, register_planner


def test_the_planners_are_there() -> None:
    assert set(PLANNERS) == {"mppi", "icem", "cem", "gradient", "hybrid", "random_shooting"}


def test_settings_replace_defaults(name: str, bounds: Bounds) -> None:
    planner = make_planner(name, bounds, {"horizon": 5, "candidates": 40})
    assert planner.horizon == 5
    assert planner.config.candidates == 40  # type: ignore[attr-defined]
    assert make_planner(name, bounds).horizon == PLANNERS[name].config_type().horizon


def test_settings_are_frozen_and_documented(name: str) -> None:
    config = PLANNERS[name].config_type()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.horizon = 3
    module = __import__(PLANNERS[name].__module__, fromlist=["x"])
    assert any(f"({year})" in module.__doc__ for year in range(1990, 2027)), "a planner cites its source"


@pytest.mark.parametrize(
    ("name", "settings", "part"),
    [
        ("mpi", {}, "no planner 'mpi'; did you mean 'mppi'?"),
        ("xyz", {}, "there are mppi, icem, cem, gradient, hybrid, random_shooting"),
        ("mppi", {"elites": 3}, "planner mppi has no setting 'elites'"),
        ("cem", {"horizon": 0}, "planner cem: horizon cannot be 0"),
        ("cem", {"candidates": -1}, "candidates cannot be -1"),
        ("cem", {"std": float("nan")}, "std cannot be nan"),
        ("icem", {"std": float("inf")}, "std cannot be inf"),
        ("cem", {"candidates": 4, "elites": 8}, "elites cannot be 8 with candidates 4; it is at most that"),
        ("mppi", {"knots": 11}, "knots cannot be 11 with horizon 10; it is at most that"),
        ("gradient", {"knots": 4, "horizon": 3}, "knots cannot be 4 with horizon 3"),
        ("hybrid", {"refined": 9}, "refined cannot be 9 with elites 8"),
        ("hybrid", {"refinements": 0}, "refinements cannot be 0"),
        ("cem", {"knots": -1}, "knots cannot be -1"),
        ("mppi", {"ess": 1.5}, "ess cannot be 1.5"),
        ("gradient", {"rate": 0.0}, "rate cannot be 0.0"),
        ("cem", {"elites": 1}, "elites"),
        ("icem", {"elites": 1}, "elites"),
        ("icem", {"keep": 1.5}, "keep cannot be 1.5"),
        ("cem", {"momentum": 2.0}, "momentum cannot be 2.0"),
        ("icem", {"shrink": 0.0}, "shrink cannot be 0.0"),
        ("mppi", {"temperature": 0.0}, "temperature cannot be 0.0"),
        ("mppi", {"iterations": 1.5}, "iterations cannot be 1.5"),
    ],
)
def test_wrong_input_is_one_line(name: str, settings: dict[str, float], part: str, bounds: Bounds) -> None:
    with pytest.raises(PlannerError) as caught:
        make_planner(name, bounds, settings)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bounds_know_their_middle_and_clamp() -> None:
    bounds = Bounds(torch.tensor([-1.0, 0.0]), torch.tensor([1.0, 4.0]))
    assert bounds.middle.tolist() == [0.0, 2.0]
    assert bounds.half.tolist() == [1.0, 2.0]
    assert bounds.clamp(torch.tensor([[5.0, -5.0], [0.5, 1.0]])).tolist() == [[1.0, 0.0], [0.5, 1.0]]


OWN = """
from dataclasses import dataclass
from planners.sampling import SamplingConfig, SamplingPlanner
from planners.search import best_of

@dataclass(frozen=True)
class StepConfig(SamplingConfig):
    iterations: int = 2
    step: float = 0.5

class Step(SamplingPlanner):
    config_type = StepConfig

    def update(self, state, candidates, returns):
        best, _ = best_of(candidates, returns, 1)
        return state.updated(mean=state.mean.lerp(best[:, 0], self.config.step))

class NoPlanner:
    pass
"""


def test_a_planner_of_a_file_is_found_by_its_path(tmp_path: Path, bounds: Bounds) -> None:
    (tmp_path / "own.py").write_text(OWN)
    planner = make_planner(f"{tmp_path / 'own.py'}:Step", bounds, {"step": 1.0, "candidates": 30})
    start = torch.zeros(2, planner.horizon, len(bounds.low))
    plan = planner.plan(lambda plans: plans.sum((-1, -2)), start, torch.Generator().manual_seed(0))
    assert (plan.actions.sum((-1, -2)) > 0).all()
    assert plan.iterations == 2


@pytest.mark.parametrize(
    ("text", "member", "told"),
    [
        (None, "Step", "there is no file"),
        (OWN, "Stp", "Stp in .* is not a planner"),
        (OWN, "NoPlanner", "is not a planner: a subclass of SamplingPlanner with a config_type"),
        ("1 / 0", "Step", "cannot be loaded: ZeroDivisionError"),
        ("import", "Step", "cannot be loaded: SyntaxError"),
    ],
)
def test_a_file_without_a_planner_is_one_line(
    tmp_path: Path, bounds: Bounds, text: str | None, member: str, told: str
) -> None:
    if text is not None:
        (tmp_path / "own.py").write_text(text)
    with pytest.raises(PlannerError, match=told) as caught:
        make_planner(f"{tmp_path / 'own.py'}:{member}", bounds)
    assert "\n" not in str(caught.value)


def test_a_planner_is_registered_once() -> None:
    with pytest.raises(PlannerError, match="there is a planner 'cem' already"):
        register_planner("cem")(PLANNERS["mppi"])
    assert register_planner("cem")(PLANNERS["cem"]) is PLANNERS["cem"]


def test_an_installed_distribution_brings_planners(monkeypatch: pytest.MonkeyPatch, bounds: Bounds) -> None:
    entry = EntryPoint("other", "planners.cem:CEM", registry.PLUGINS)
    monkeypatch.setattr(
        registry, "entry_points", lambda group: EntryPoints([entry] if group == entry.group else [])
    )
    assert isinstance(make_planner("other", bounds), PLANNERS["cem"])
    with pytest.raises(PlannerError, match="did you mean 'other'"):
        make_planner("othr", bounds)
