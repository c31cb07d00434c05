"""Rewards, which not every dataset has."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest

from mbtransfer.data import Dataset
from mbtransfer.data.episode import Episode
from mbtransfer.errors import UserError
from tests.mbtransfer.data.episodes import HEADER, assert_same, fill, make_batch, make_episode, shard_files

BEFORE_REWARDS = "4e5ba66718efe76e6dd03bab108ecb6730eaeab0309bbcabac1562ed3735f660"


def paid(episode: Episode) -> Episode:
    rewards = np.random.default_rng(episode.seed).standard_normal(len(episode))
    return dataclasses.replace(episode, rewards=rewards)


def test_rewards_come_back_beside_episodes_without(tmp_path: Path) -> None:
    dataset = fill(tmp_path, units=1)
    with_rewards = [paid(episode) for episode in make_batch(1)]
    dataset.append(with_rewards, "paid")
    for found, wanted in zip(Dataset.open(tmp_path).episodes(), [*make_batch(0), *with_rewards], strict=True):
        if wanted.rewards is None:
            assert found.rewards is None
        assert_same(found, wanted)
    assert len(dataset.transitions()) == dataset.steps == dataset.info()["steps"]


def test_shards_without_rewards_are_written_as_ever(tmp_path: Path) -> None:
    fill(tmp_path, units=1)
    digest = hashlib.sha256(shard_files(tmp_path)[0].read_bytes()).hexdigest()
    assert digest == BEFORE_REWARDS, "files of older versions and of this one must be the same"


def test_rewards_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    dataset, episode = Dataset.create(tmp_path, HEADER), make_episode(1)
    for rewards, said in (
        (np.zeros(len(episode) + 1), "rewards has shape"),
        (np.zeros((len(episode), 1)), "rewards has shape"),
        (np.zeros(len(episode), np.float32), "rewards is float32"),
    ):
        with pytest.raises(UserError, match=said):
            dataclasses.replace(episode, rewards=rewards)
    with pytest.raises(UserError, match="rewards is NaN at step 0"):
        dataset.append([dataclasses.replace(episode, rewards=np.full(len(episode), np.nan))], "bad")
    with pytest.raises(UserError, match="either all episodes have rewards or none"):
        dataset.append([episode, paid(episode)], "mixed")
    assert not len(dataset)
