"""Choosing episodes: the split into two sides, and by their records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mbtransfer.data import Dataset
from mbtransfer.errors import UserError
from tests.mbtransfer.data.episodes import assert_same, fill, make_batch


def test_split_is_by_whole_episodes_and_stays_as_data_is_added(tmp_path: Path) -> None:
    dataset = fill(tmp_path, units=20)
    sides: dict[tuple[str, int], bool] = {}
    for _ in range(2):
        train, valid = dataset.split(0.25, seed=3)
        assert len(train) + len(valid) == len(dataset) and 0.1 < len(valid) / len(dataset) < 0.4
        assert len(train.transitions()) + len(valid.transitions()) == dataset.steps
        now = {(r.key, r.index): False for r in train.records} | {
            (r.key, r.index): True for r in valid.records
        }
        assert now.items() >= sides.items()
        sides = now
        for unit in range(20, 40):
            dataset.append(make_batch(unit), f"adapt-{unit:06d}")  # sorts before what was there
    again = Dataset.open(tmp_path).split(0.25, seed=3)[1].records
    assert again == dataset.split(0.25, seed=3)[1].records != dataset.split(0.25, seed=4)[1].records


def test_split_of_few_leaves_neither_side_empty(tmp_path: Path) -> None:
    dataset = fill(tmp_path, units=1)
    for seed in range(20):
        for fraction in (0.01, 0.5, 0.99):
            train, valid = dataset.split(fraction, seed)
            assert len(train) and len(valid)
    assert [len(side) for side in dataset.split(0.0)] == [3, 0]
    with pytest.raises(UserError, match="fraction"):
        dataset.split(1.0)


def test_where_chooses_by_record(tmp_path: Path) -> None:
    dataset = fill(tmp_path)
    chosen = dataset.where(lambda record: record.terminated)
    assert len(chosen) == 6
    wanted = [episode for episode in dataset.episodes() if episode.terminated]
    for found, episode in zip(chosen.episodes(), wanted, strict=True):
        assert_same(found, episode)
    np.testing.assert_array_equal(chosen.transitions().obs, np.concatenate([e.obs[:-1] for e in wanted]))
