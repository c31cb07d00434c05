from __future__ import annotations

import json
from pathlib import Path

import pytest

results = pytest.importorskip("benchmarks.results", reason="a wheel comes without benchmarks")
kitchen = pytest.importorskip("benchmarks.kitchen")

from mbtransfer.errors import UserError  # noqa: E402
from mbtransfer.evaluation.results import EpisodeResult, append_rows  # noqa: E402

TASKS = (("drawer_open", "source"), ("drawer_half", "held_out"), ("tea", "recipes"))


def episode(task: str, split: str, seed: int, number: int, dynamics: str, labels: int) -> EpisodeResult:
    success = dynamics == "oracle" or (seed, number) != (1000, 0)
    return EpisodeResult(
        task, "recipe" if split == "recipes" else "task", split, "mppi", dynamics,
        "true" if dynamics == "oracle" else "learned", labels, seed, number, success, -1.0, 20,
        20 if success else None, int(success), 1, 5.0,
    )  # fmt: skip


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    made = []
    for seed in (0, 1):
        folder = tmp_path / f"seed-{seed}"
        rows = [episode(*task, 1000 + seed, n, "learned", 10_000) for task in TASKS for n in range(4)]
        rows += [episode(*task, 1000 + seed, 0, "oracle", 0) for task in TASKS]
        rows += [episode("drawer_half", "held_out", 1000 + seed, n, "learned", 100) for n in range(2)]
        append_rows(folder / "rows.csv", rows)
        summary = {
            "adapt": {"task": "light_on", "episodes": [0, 1], "new": [0.0, 1.0], "old": [1.0, 1.0 - 0.1 * seed]},
            "check": {"auroc": 0.9 + 0.1 * seed}, "plan_ms": {"p50": 5.0, "p95": 6.0, "p99": 7.0},
            "transitions": 1000, "wall_seconds": {"collect": 10.0, "fit": 20.0, "total": 60.0},
        }  # fmt: skip
        (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
        made.append(folder)
    return made


def test_seeds_are_put_together(folders: list[Path]) -> None:
    found = results.aggregate(folders)
    assert found["splits"]["source"]["success_mean"] == pytest.approx(7 / 8)
    assert found["oracle"]["source"]["success_mean"] == 1.0
    assert [entry["labels"] for entry in found["labels"]] == [100, 10_000]
    assert found["adapt"]["lost_at_most"] == pytest.approx(0.1)
    assert found["check"]["auroc"] == [0.9, 1.0]


def test_the_table_is_markdown(folders: list[Path]) -> None:
    text = results.as_markdown(results.aggregate(folders))
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in tables)
    assert "| source tasks (1) | 0.875 [0.750, 1.000] | 0.88 | 1.000 |" in tables
    assert "| collect + fit | 30 s |" in tables


def test_only_what_is_between_the_markers_changes(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(f"above\n{kitchen.BEGIN}\nold\n{kitchen.END}\nbelow\n", encoding="utf-8")
    for _ in range(2):
        kitchen.put_between(page, "new\n")
    assert page.read_text("utf-8") == f"above\n{kitchen.BEGIN}\nnew\n{kitchen.END}\nbelow\n"


def test_a_page_without_markers_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match="lacks the markers"):
        kitchen.put_between(page, "new")
    assert page.read_text("utf-8") == "mine"


def test_a_finished_seed_is_not_run_again(folders: list[Path]) -> None:
    assert kitchen.run_seed(folders[0].parent, 0, 10, []) == folders[0]


def test_random_recipes_are_valid_and_follow_their_seed() -> None:
    import random

    from benchmarks.random_recipes import random_recipe
    from tasks.registry import make

    kitchen = make("kitchen")

    def draw(seed: int) -> list[list[str]]:
        rng = random.Random(seed)
        recipes = [random_recipe(kitchen, f"r{i}", "source", rng) for i in range(30)]
        assert all(step.task.split == "source" for recipe in recipes for step in recipe.steps)
        return [[step.label for step in recipe.steps] for recipe in recipes]

    assert draw(1) == draw(1) != draw(2)
    assert {len(steps) for steps in draw(1)} == {3, 4, 5, 6}
