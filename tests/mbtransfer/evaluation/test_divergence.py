"""What diverges is counted and told, and never enters a pool as if it were fine."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tasks.simulator
from mbtransfer.cli.main import main
from mbtransfer.collection.collect import collect_data
from mbtransfer.data import Dataset
from mbtransfer.evaluation.results import read_rows
from tasks.registry import make
from tasks.simulator import marked


@pytest.fixture
def first_row_diverges(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of each batch, after a quarter of a second."""

    def bad(model: Any, before: np.ndarray, after: np.ndarray, dt: float) -> np.ndarray:
        after = marked(model, before, after, dt).copy()
        after[0, :] = np.where(after[0, 0] > 0.25, np.nan, after[0])
        return after

    monkeypatch.setattr(tasks.simulator, "marked", bad)


@pytest.mark.usefixtures("first_row_diverges")
def test_a_dataset_counts_the_episodes_that_it_cut_short(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    collect_data(make("kitchen"), tmp_path / "data", 100, episode_steps=10, shares={"babble": 1.0})
    dataset = Dataset.open(tmp_path / "data")
    short = [episode for episode in dataset.episodes() if episode.diverged]
    assert len(short) == dataset.info()["diverged"] == 1 and len(short[0]) == 2
    assert all(np.isfinite(episode.state).all() for episode in dataset.episodes())
    assert main(["dataset", "info", str(tmp_path / "data")]) == 0
    assert "1 episodes ended early because their simulation diverged" in " ".join(
        capsys.readouterr().out.split()
    )


@pytest.mark.usefixtures("first_row_diverges")
def test_an_evaluation_counts_it_as_failed_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = (
        "evaluate --dynamics oracle --reward true --tasks drawer_open --episodes 3 --horizon 2 --candidates 4"
    )
    assert (
        main([*line.split(), "--iterations", "1", "--workers", "1", "--rows", str(tmp_path / "rows.csv")])
        == 0
    )
    rows = read_rows(tmp_path / "rows.csv")
    assert rows["diverged"].all() and not rows["success"].any()
    assert rows["steps"].tolist() == [2, 3, 4]  # the next one becomes the first
    assert "The simulation of 3 episodes diverged; they count as failed." in capsys.readouterr().out
