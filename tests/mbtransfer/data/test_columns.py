"""What a dataset holds, counted by behaviour and covered by column."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mbtransfer.data import Dataset
from mbtransfer.data.episode import Episode
from tests.mbtransfer.data.episodes import ACT, HEADER, OBS, STATE, make_episode


def test_info_counts_and_covers(tmp_path: Path) -> None:
    dataset = Dataset.create(tmp_path, HEADER)
    obs = np.zeros((201, OBS), np.float32)
    obs[:, 0] = np.linspace(-1, 1, 201)
    obs[:, 1] = -0.99
    obs[3, 2] = 5.0
    episode = Episode(obs, np.zeros((200, ACT), np.float32), np.zeros((201, STATE)), "sweep", 0, False, True)
    dataset.append([episode, make_episode(1)], "unit")
    info = Dataset.open(tmp_path).where(lambda record: record.behaviour == "sweep").info()
    assert info["episodes"] == 1 and info["behaviours"] == {"sweep": {"episodes": 1, "steps": 200}}
    columns = info["observation"]
    assert columns["joint_0"]["coverage"] == 1.0 and columns["joint_1"]["coverage"] == 0.05
    assert (
        columns["joint_2"]["max"] == 5.0 and columns["joint_2"]["coverage"] == 0.05
    )  # the middle; 5 rad lies outside
    assert columns["force"]["coverage"] is None and columns["force"]["low"] is None
    whole = dataset.info()
    assert whole["episodes"] == 2 and whole["shards"] == 1 and set(whole["behaviours"]) == {"sweep", "babble"}
    json.dumps(whole, allow_nan=False)
