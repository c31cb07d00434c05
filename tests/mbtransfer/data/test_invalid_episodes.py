"""What may not enter a dataset: hostile names, numbers that are none, other sizes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from mbtransfer.data import Dataset
from mbtransfer.errors import UserError
from tests.mbtransfer.data.episodes import OBS, fill, make_batch, make_episode


@pytest.mark.parametrize(
    "key",
    [
        "",
        ".",
        "..",
        "../out",
        "a/b",
        "/etc/x",
        "a\\b",
        "a.json",
        "-x",
        ".tmp-x",
        "a\n",
        "a\0",
        "x" * 101,
        "ü",
    ],
)
def test_hostile_keys_are_refused(tmp_path: Path, key: str) -> None:
    dataset = fill(tmp_path / "data", units=1)
    before = sorted(tmp_path.rglob("*"))
    assert key not in dataset
    with pytest.raises(UserError, match="cannot be called"):
        dataset.append(make_batch(1), key)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("obs", np.nan, "obs is NaN at step 1, column 'joint_1'"),
        ("actions", np.inf, "actions is infinite at step 1, column 'motor_1'"),
        ("state", -np.inf, "state is infinite at step 1, column '1'"),
    ],
)
def test_numbers_that_are_none_are_refused(tmp_path: Path, name: str, value: float, said: str) -> None:
    dataset = fill(tmp_path, units=1)
    bad = make_episode(41, "reach")
    getattr(bad, name)[1, 1] = value
    with pytest.raises(UserError, match=f"behaviour 'reach', seed 41: {said}") as caught:
        dataset.append([make_episode(40), bad], "bad")
    assert "\n" not in str(caught.value)
    assert "bad" not in dataset and len(Dataset.open(tmp_path)) == 3


def test_other_sizes_are_refused(tmp_path: Path) -> None:
    dataset = fill(tmp_path, units=1)
    episode = make_episode(5)
    wide = dataclasses.replace(episode, obs=np.zeros((len(episode) + 1, OBS + 1), np.float32))
    with pytest.raises(UserError, match="obs has 5 columns, the dataset needs 4"):
        dataset.append([wide], "wide")
    with pytest.raises(UserError, match="no episodes"):
        dataset.append([], "none")
    with pytest.raises(UserError, match="no behaviour"):
        dataset.append([dataclasses.replace(episode, behaviour="")], "untagged")
