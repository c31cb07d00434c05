from __future__ import annotations

import dataclasses

import pytest
import torch

from planners.base import Bounds
from planners.errors import PlannerError
from planners.registry import PLANNERS, make_planner


def test_the_planners_are_there() -> None:
    assert set(PLANNERS) == {"mppi", "icem", "cem", "gradient", "hybrid", "random_shooting"}


def test_settings_replace_defaults(name: str, bounds: Bounds) -> None:
    planner = make_planner(name, bounds, {"horizon": 5, "candidates": 40})
    assert planner.horizon == 5
    assert planner.config.candidates == 40  # type: ignore[attr-defined]
    assert make_planner(name, bounds).horizon == PLANNERS[name][1]().horizon


def test_settings_are_frozen_and_documented(name: str) -> None:
    config = PLANNERS[name][1]()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.horizon = 3
    module = __import__(PLANNERS[name][0].__module__, fromlist=["x"])
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
        ("cem", {"candidates": 4}, "elites cannot be 8 with candidates 4; it is at most that"),
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
