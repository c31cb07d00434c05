"""A model that was measured for a moment, and pushed."""

from __future__ import annotations

from pathlib import Path

import pytest

from mbtransfer.cli.commands.evaluate import run_evaluate
from mbtransfer.cli.commands.push import run_push
from mbtransfer.config import EvaluateConfig, PushConfig
from tests.mbtransfer.evaluation.tiny import quiet

TASKS = ("light_on", "drawer_open")


@pytest.fixture(scope="session")
def rows(fitted_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of two source tasks and a recipe, two seeds of two episodes; do not change them."""
    path = tmp_path_factory.mktemp("measured") / "rows.csv"
    recipe = path.with_name("two.yaml")
    recipe.write_text("name: two\nsteps: [{task: light_on, timeout: 5}, light_off]\n")
    config = EvaluateConfig(
        model=fitted_folder, tasks=TASKS, recipes=(str(recipe),), reward="true", episodes=2, seeds=(3, 5), workers=1,
        horizon=4, candidates=8, iterations=1, settings=("momentum=0.25",), device="cpu", rows=path,
    )  # fmt: skip
    run_evaluate(config, quiet())
    return path


@pytest.fixture(scope="session")
def pushed(fitted_folder: Path, rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That model, pushed with these rows; do not change it."""
    path = tmp_path_factory.mktemp("shared") / "pushed"
    run_push(
        PushConfig(
            dir=fitted_folder, target=str(path), results=(rows,), licence="mit", check=False, device="cpu"
        ),
        quiet(),
    )
    return path
