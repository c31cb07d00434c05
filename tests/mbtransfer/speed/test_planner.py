"""What `mbtransfer speed` measures, at sizes where a measurement takes no time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mbtransfer.cli.main import main
from mbtransfer.speed import planner as scaling
from mbtransfer.speed.planner import measure_planner
from mbtransfer.speed.workload import Decisions, KitchenDecisions, Work

TINY = {
    "members": 2,
    "hidden": 8,
    "layers": 1,
    "obs": 3,
    "act": 2,
    "candidates": 16,
    "horizon": 3,
    "iterations": 2,
}


def flags() -> list[str]:
    return [word for name, value in TINY.items() for word in (f"--{name}", str(value))]


@pytest.mark.parametrize("planner", ["cem", "mppi", "gradient"])
def test_a_decision_is_measured_beside_its_products(planner: str) -> None:
    work = Work(planner, **TINY, particles=3, precision="float32")  # type: ignore[arg-type]
    found = measure_planner(work, seconds=0.01)
    assert work.model_steps == 16 * 3 * 2 * 3
    assert found["fraction_of_limit"] == pytest.approx(
        found["model_steps_per_second"] / found["limit_model_steps_per_second"]
    )
    times = found["decision_ms"]
    assert 0 < times["p50"] <= times["p95"] <= times["p99"]
    assert found["settings"]["dtype"] == "float32" and found["settings"]["planner"] == planner
    assert found["peak_memory_mb"] > 10


@pytest.mark.parametrize("planner", ["cem", "mppi"])
def test_the_steps_counted_are_the_steps_done(planner: str) -> None:
    work = Work(planner, **TINY, particles=3)  # type: ignore[arg-type]
    decide = Decisions(work)
    decide()
    assert decide.model_steps == work.model_steps


def test_episodes_of_many_tasks_are_decided_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each episode's action is the one that it gets alone among episodes of its own task."""
    together = KitchenDecisions(6, 3, "float32")
    calls: list[int] = []
    follow = type(together.imagination).__call__
    monkeypatch.setattr(
        type(together.imagination),
        "__call__",
        lambda self, *given: calls.append(1) or follow(self, *given),
    )
    assert together().shape == (6, 4)
    assert together.agent.plan is not None and len(calls) == together.agent.plan.iterations


def test_growth_is_measured_point_by_point(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "AXES", {"candidates": (4, 8), "obs": (3,)})
    monkeypatch.setattr(scaling, "BATCHES", ((1, 1), (2, 2)))
    rows = scaling.measure_scaling(Work("mppi", **TINY, particles=2), seconds=0.0)  # type: ignore[arg-type]
    assert [(row["axis"], row["value"]) for row in rows] == [
        ("episodes of tasks", "1 of 1"), ("episodes of tasks", "2 of 2"),
        ("candidates", "4"), ("candidates", "8"), ("obs", "3"),
    ]  # fmt: skip
    assert all(row["decision_ms"] > 0 and row["memory_mb"] >= 0 for row in rows)


@pytest.mark.parametrize("what", ["planner", "fit"])
def test_the_command_writes_what_it_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    path = tmp_path / "found.json"
    assert main(["speed", what, *flags(), "--batch", "32", "--seconds", "0.01", "--json", str(path)]) == 0
    found = json.loads(path.read_text())
    assert found["fraction_of_limit"] > 0 and found["settings"]["threads"] == 1
    assert "of what the products alone would allow" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["speed"], "WHAT must be given"),
        (["speed", "walk"], "WHAT cannot be 'walk'"),
        (["speed", "planner", "--planner", "cme"], "did you mean 'cem'"),
        (["speed", "planner", "--candidates", "0"], "candidates must be at least 1"),
        (["speed", "planner", "--plot", "x.png"], "--plot is for `speed scaling`"),
        (["speed", "scaling", "--plot", "x.doc"], "ends with .png or .svg"),
        (["speed", "planner", "--device", "cuda:77"], "not to be had"),
    ],
)
def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str], argv: list[str], said: str) -> None:
    assert main(argv) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_memory_stays_the_same() -> None:
    """After some decisions no more tensors are alive than before: what one decision leaves, the next takes."""
    decide = Decisions(Work("mppi", **TINY, particles=2))  # type: ignore[arg-type]

    def alive() -> int:
        import gc

        gc.collect()
        return sum(issubclass(type(x), torch.Tensor) for x in gc.get_objects())

    for _ in range(3):
        decide()
    before = alive()
    for _ in range(20):
        decide()
    assert alive() <= before
