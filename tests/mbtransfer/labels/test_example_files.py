from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mbtransfer.errors import UserError
from mbtransfer.labels.example_files import read_preferences, read_successes
from mbtransfer.labels.label_file import transition_columns
from mbtransfer.model import Model
from tasks.registry import make

SPEC = make("kitchen").spec


def steps(model: Model, count: int) -> pd.DataFrame:
    some = model.pool[slice(0, count)]
    rows = np.concatenate([some.obs, some.actions, some.next_obs], axis=1)
    return pd.DataFrame(rows, columns=transition_columns(SPEC))


def test_successes_are_observations(fitted: Model, tmp_path: Path) -> None:
    steps(fitted, 5).to_csv(tmp_path / "done.csv", index=False)
    assert torch.equal(read_successes(tmp_path / "done.csv", SPEC), fitted.pool.obs[:5])


def test_preferences_are_pairs_of_segments(fitted: Model, tmp_path: Path) -> None:
    pairs = steps(fitted, 6).assign(pair=["a", "a", "a", "b", "b", "b"], better=[1, 0, 1, 0, 1, 1])
    pairs.to_csv(tmp_path / "pairs.csv", index=False)
    better, worse = read_preferences(tmp_path / "pairs.csv", SPEC)
    assert [len(one) for one in better] == [2, 2] and [len(one) for one in worse] == [1, 1]
    assert torch.equal(better[0].obs, fitted.pool.obs[[0, 2]])
    assert torch.equal(worse[1].next_obs, fitted.pool.next_obs[[3]])


@pytest.mark.parametrize(
    ("better", "words"),
    [
        ([1, 0, 2], r"pairs.csv:4: better is '2'; write 1 or 0"),
        ([1, 1, 1], "pair 'a' has no segment with better = 0"),
    ],
)
def test_half_a_pair_is_refused(fitted: Model, tmp_path: Path, better: list[int], words: str) -> None:
    steps(fitted, 3).assign(pair="a", better=better).to_csv(tmp_path / "pairs.csv", index=False)
    with pytest.raises(UserError, match=words):
        read_preferences(tmp_path / "pairs.csv", SPEC)
