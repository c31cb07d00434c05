"""The episode of a session becomes data that other commands read; a push does not look like an action."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mbtransfer.data import Dataset
from mbtransfer.errors import UserError
from mbtransfer.live.session import LiveSession
from tasks.registry import make


def test_steps_are_kept_and_a_push_parts_them(session: LiveSession, tmp_path: Path) -> None:
    session.give(session.find("reach(drawer)"))
    states = [session.state]
    for _ in range(3):
        moment = session.step()
        assert moment is not None
        states.append(moment.state)
    session.push("drawer", 0.2)
    pushed = session.state
    session.step()
    recording = session.recorded()
    session.step()  # what was handed out does not grow
    kitchen, folder = make("kitchen"), tmp_path / "data"
    assert len(recording) == 4 and recording.keep(kitchen, folder) == f"4 control steps are in {folder}"
    assert recording.keep(kitchen, folder).endswith("already")
    first, second = Dataset.open(folder).episodes()
    assert [len(first), len(second)] == [3, 1] and first.behaviour == "live"
    np.testing.assert_array_equal(first.state, np.stack(states))
    np.testing.assert_array_equal(second.state[0], pushed)
    scene = kitchen.make_scene(())
    for episode in (first, second):  # the recorded actions lead through the recorded states, bit for bit
        path = scene.rollout(episode.state[:1], episode.actions[None])[0]
        np.testing.assert_array_equal(path, episode.state[1:])
        np.testing.assert_array_equal(scene.observe(episode.state), episode.obs)


def test_nothing_is_not_kept(session: LiveSession, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing to keep yet"):
        session.recorded().keep(make("kitchen"), tmp_path / "data")
    with pytest.raises(UserError, match="nothing to film yet"):
        session.recorded().film(session.scene, tmp_path / "film.mp4")
