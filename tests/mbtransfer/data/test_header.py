"""The header: of another version, torn, missing, or of another environment."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from mbtransfer.data import Dataset
from mbtransfer.errors import UserError
from mbtransfer.runtime.files import SEAL, write_sealed
from tests.mbtransfer.data.episodes import HEADER, fill


def test_not_a_dataset(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, said in ((tmp_path / "none", "no dataset at"), (tmp_path, "no dataset.json")):
        with pytest.raises(UserError, match=said):
            Dataset.open(path)
    with pytest.raises(UserError, match="not a dataset"):
        Dataset.open(tmp_path / "file")
    with pytest.raises(UserError, match="cannot write"):
        Dataset.create(tmp_path / "file", HEADER)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 3}, "format version 3, this program reads version 2"),
        ({"format": "other"}, "not a dataset"),
        ({"observation_size": 9}, "damaged"),
        ({"observation": [{"name": "x"}]}, "damaged"),
        ({"state_size": None}, "damaged"),
    ],
)
def test_another_header_is_refused(tmp_path: Path, change: dict[str, object], said: str) -> None:
    fill(tmp_path, units=1)
    path = tmp_path / "dataset.json"
    content = json.loads(path.read_text())
    del content[SEAL]
    write_sealed(path, content | change)
    with pytest.raises(UserError, match=said):
        Dataset.open(tmp_path)


def test_a_header_that_was_edited_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, units=1)
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"control_dt": 9.0}))
    with pytest.raises(UserError, match="checksum"):
        Dataset.open(tmp_path)


def test_a_header_of_the_first_version_is_read(tmp_path: Path) -> None:
    fill(tmp_path, units=1)
    path = tmp_path / "dataset.json"
    content = json.loads(path.read_text()) | {"version": 1}
    del content[SEAL]
    path.write_text(json.dumps(content))
    assert len(Dataset.open(tmp_path)) > 0


@pytest.mark.parametrize("content", [b"", b'{"format": "mbtr', b"\xff\xfe", b"[]"])
def test_a_torn_header_is_one_line(tmp_path: Path, content: bytes) -> None:
    fill(tmp_path, units=1)
    (tmp_path / "dataset.json").write_bytes(content)
    with pytest.raises(UserError, match=r"damaged|not a dataset") as caught:
        Dataset.open(tmp_path)
    assert "\n" not in str(caught.value)


def test_what_is_there_is_not_overwritten_by_another_environment(tmp_path: Path) -> None:
    fill(tmp_path, units=1)
    with pytest.raises(UserError, match="dataset already"):
        Dataset.create(tmp_path, HEADER)
    renamed = (dataclasses.replace(HEADER.observation[0], name="lever"), *HEADER.observation[1:])
    for changed, said in (
        ({"env": "walker"}, "environment 'kitchen', not 'walker'"),
        ({"observation": renamed}, "observation column 0 as 'joint_0'"),
        ({"action": HEADER.action[:1]}, "2 action columns, not 1"),
        ({"state_size": 4}, "3 state values, not 4"),
        ({"control_dt": 0.05}, "control steps of 0.1 s, not 0.05 s"),
    ):
        with pytest.raises(UserError, match=said):
            Dataset.open_or_create(tmp_path, dataclasses.replace(HEADER, **changed))
    assert len(Dataset.open_or_create(tmp_path, HEADER)) == 3
