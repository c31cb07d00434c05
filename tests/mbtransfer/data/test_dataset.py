"""What is put into a dataset comes back bit for bit, from files that depend on it alone."""

from __future__ import annotations

import dataclasses
import errno
import os
from pathlib import Path

import numpy as np
import pytest

from mbtransfer.data import Dataset
from mbtransfer.errors import UserError
from tests.mbtransfer.data.episodes import HEADER, assert_same, fill, make_batch, make_episode, shard_files


def test_episodes_come_back_bit_for_bit_in_the_order_of_their_keys(tmp_path: Path) -> None:
    dataset = Dataset.create(tmp_path / "data", HEADER)
    for unit in (3, 0, 2, 1):
        assert dataset.append(make_batch(unit), f"babble-{unit:06d}")
    expected = [episode for unit in range(4) for episode in make_batch(unit)]
    for opened in (dataset, Dataset.open(tmp_path / "data"), Dataset.open(tmp_path / "data", verify=False)):
        assert len(opened) == 12 and opened.steps == sum(map(len, expected))
        for found, wanted in zip(opened.episodes(), expected, strict=True):
            assert_same(found, wanted)


def test_header_comes_back(tmp_path: Path) -> None:
    Dataset.create(tmp_path, HEADER)
    assert Dataset.open(tmp_path).header == HEADER


def test_reading_never_changes_the_files(tmp_path: Path) -> None:
    dataset = fill(tmp_path, units=1)
    before = shard_files(tmp_path)[0].read_bytes()
    dataset.transitions().obs[:] = 0.0
    next(dataset.episodes()).obs[:] = 0.0  # mapped copy-on-write
    assert shard_files(tmp_path)[0].read_bytes() == before
    assert_same(next(Dataset.open(tmp_path).episodes()), make_batch(0)[0])


def test_same_data_gives_same_files_whatever_the_order(tmp_path: Path) -> None:
    for name, order in (("a", (0, 1, 2)), ("b", (2, 0, 1))):
        dataset = Dataset.create(tmp_path / name, HEADER)
        for unit in order:
            dataset.append(make_batch(unit), f"unit-{unit}")
    a, b = ({f.name: f.read_bytes() for f in (tmp_path / n).rglob("*") if f.is_file()} for n in "ab")
    assert a == b
    assert Dataset.open(tmp_path / "a").digest == Dataset.open(tmp_path / "b").digest
    dataset.append(make_batch(3), "unit-3")
    assert Dataset.open(tmp_path / "a").digest != dataset.digest


def test_arrays_in_column_order_are_kept_right(tmp_path: Path) -> None:
    episode = make_episode(1)
    turned = dataclasses.replace(
        episode, obs=np.asfortranarray(episode.obs), state=np.asfortranarray(episode.state)
    )
    dataset = Dataset.create(tmp_path, HEADER)
    dataset.append([turned, turned], "unit")
    for found in dataset.episodes():
        assert_same(found, episode)


def test_a_finished_unit_is_never_written_twice(tmp_path: Path) -> None:
    fill(tmp_path)
    before = {f: (f.read_bytes(), f.stat().st_mtime_ns) for f in (tmp_path / "shards").iterdir()}
    dataset = fill(tmp_path)
    assert dataset.keys() == [f"babble-{unit:06d}" for unit in range(4)]
    assert "babble-000003" in dataset and "babble-000004" not in dataset
    assert dataset.append(make_batch(9), "babble-000003") is False
    assert {f: (f.read_bytes(), f.stat().st_mtime_ns) for f in (tmp_path / "shards").iterdir()} == before


def test_an_empty_dataset(tmp_path: Path) -> None:
    dataset = Dataset.create(tmp_path, HEADER)
    assert len(dataset) == 0 and not list(dataset.episodes()) and dataset.info()["steps"] == 0
    with pytest.raises(UserError, match="holds no episodes"):
        dataset.transitions()
    with pytest.raises(UserError, match="too few to split"):
        dataset.split()


def test_a_full_disk_harms_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = fill(tmp_path, units=2)
    before = sorted(tmp_path.rglob("*"))

    def full(source: object, target: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(UserError, match="No space left"):
            dataset.append(make_batch(2), "babble-000002")
    assert sorted(tmp_path.rglob("*")) == before
    assert "babble-000002" not in dataset and dataset.append(make_batch(2), "babble-000002")


def test_an_unwritable_folder_is_said_before_work_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, units=1)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UserError, match="cannot write to"):
        Dataset.open_or_create(tmp_path, HEADER)
