"""Shards that were cut, changed or removed are named and left out."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from mbtransfer.data import DamagedShardWarning, Dataset
from mbtransfer.errors import UserError
from tests.mbtransfer.data.episodes import HEADER, STATE, assert_same, cut, fill, make_batch, shard_files


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("harm", "suffix", "reason"),
    [
        (flip, ".safetensors", "checksum"),
        (cut, ".safetensors", "bytes instead of"),
        (empty, ".safetensors", "0 bytes instead of"),
        (remove, ".safetensors", "missing"),
        (cut, ".json", "not what was written"),
        (empty, ".json", "not what was written"),
    ],
)
def test_a_damaged_shard_is_named_and_left_out(tmp_path: Path, harm, suffix: str, reason: str) -> None:
    fill(tmp_path)
    (target,) = (tmp_path / "shards").glob(f"babble-000002*{suffix}")
    harm(target)
    with pytest.warns(DamagedShardWarning, match=re.escape(target.name)) as warned:
        dataset = Dataset.open(tmp_path)
    assert len(warned) == 1
    (damage,) = dataset.damaged
    assert damage.name == target.name and reason in damage.reason
    assert dataset.info()["damaged"] == [{"name": damage.name, "reason": damage.reason}]
    expected = [episode for unit in (0, 1, 3) for episode in make_batch(unit)]
    for found, wanted in zip(dataset.episodes(), expected, strict=True):
        assert_same(found, wanted)
    assert "babble-000002" not in dataset
    assert dataset.append(make_batch(2), "babble-000002") is True  # collecting again heals it
    assert not dataset.damaged and not Dataset.open(tmp_path).damaged


def test_without_checksums_cut_and_strange_files_are_still_found(tmp_path: Path) -> None:
    fill(tmp_path)
    cut(shard_files(tmp_path, "babble-000001")[0])
    record = tmp_path / "shards" / "babble-000003.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"key": "babble-000001"}))
    with pytest.warns(DamagedShardWarning, match="2 damaged of 4"):
        dataset = Dataset.open(tmp_path, verify=False)
    assert dataset.keys() == ["babble-000000", "babble-000002"]


def test_a_shard_of_another_dataset_is_left_out(tmp_path: Path) -> None:
    fill(tmp_path / "a", units=1)
    other = dataclasses.replace(HEADER, state_size=STATE + 1)
    Dataset.create(tmp_path / "b", other)
    (tmp_path / "a" / "shards").rename(tmp_path / "b" / "shards")
    with pytest.warns(DamagedShardWarning, match="state is"):
        assert len(Dataset.open(tmp_path / "b")) == 0


def test_a_record_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    fill(tmp_path, units=1)
    record = tmp_path / "shards" / "babble-000000.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"sha256": "../../etc/passwd"}))
    with pytest.warns(DamagedShardWarning, match="not what was written"):
        assert len(Dataset.open(tmp_path)) == 0


def test_a_shard_removed_while_in_use_is_one_line(tmp_path: Path) -> None:
    fill(tmp_path, units=1)
    dataset = Dataset.open(tmp_path)
    shard_files(tmp_path)[0].unlink()
    with pytest.raises(UserError, match="changed or removed"):
        dataset.transitions()
