"""Recorded episodes are compared with what the model imagines of the same actions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mbtransfer.data import Dataset
from mbtransfer.errors import UserError
from mbtransfer.live.replay import Replay
from mbtransfer.model import Model
from tasks.registry import make


def test_a_stretch_is_imagined_from_its_first_observation(fitted: Model, dataset: Dataset) -> None:
    replay = Replay(fitted, fitted.environment.make_scene(()), dataset.path)
    assert len(replay.names) == 40 and replay.names[0].startswith("1: ")
    episode = replay.episode(7)
    wanted = list(dataset.episodes())[7]
    np.testing.assert_array_equal(episode.obs, wanted.obs)
    found = replay.compare(episode, step=12, ahead=5)
    assert found.begin == 7 and found.recorded.shape == found.imagined.shape == (
        6,
        fitted.environment.spec.obs_size,
    )
    np.testing.assert_array_equal(found.recorded, episode.obs[7:13])
    np.testing.assert_array_equal(found.imagined[0], found.recorded[0])
    assert (found.imagined[-1] != found.recorded[-1]).any()
    early = replay.compare(episode, step=2, ahead=5)
    assert early.begin == 0 and len(early.recorded) == 3
    start = replay.compare(episode, step=0, ahead=5)
    np.testing.assert_array_equal(start.imagined, episode.obs[:1])
    assert replay.in_words(start).startswith("imagined 0 control steps ahead\n\nhand: 0.000 m")


def test_an_exact_model_imagines_the_hand_where_it_was(drifting: object, dataset: Dataset) -> None:
    """The hand of that model moves as the action says; the true one lags behind by less than a control step's way."""
    model = drifting()  # type: ignore[operator]
    replay = Replay(model, model.environment.make_scene(()), dataset.path)
    found = replay.compare(replay.episode(0), step=6, ahead=6)
    way = np.cumsum(replay.episode(0).actions[:6, :3] * 0.06, axis=0)
    low, high = np.array([[v.low, v.high] for v in model.environment.spec.observation[:3]]).T
    inside = ((found.recorded[0, :3] + way > low) & (found.recorded[0, :3] + way < high)).all()
    assert inside
    np.testing.assert_allclose(found.imagined[-1, :3], found.recorded[0, :3] + way[-1], atol=1e-4)


def test_other_data_are_refused(fitted: Model, dataset: Dataset, tmp_path: Path) -> None:
    other = make("gym:CartPole-v1")
    with pytest.raises(UserError, match=r"environment 'kitchen', not .gym:CartPole-v1., unlike the model's"):
        Replay(fitted, other.make_scene(()), dataset.path)
    with pytest.raises(UserError, match="dataset"):
        Replay(fitted, fitted.environment.make_scene(()), tmp_path)
